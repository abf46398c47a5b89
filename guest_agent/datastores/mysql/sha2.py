"""What MySQL stores of a password (`caching_sha2_password`): SHA-crypt with SHA-256, 5000 rounds,
and a salt of 20 bytes, which is longer than libraries for SHA-crypt allow.

    $A$005$<salt, 20 bytes><digest, 43 characters>

Source: Ulrich Drepper's "Unix crypt using SHA-256 and SHA-512", and MySQL's manual on the plugin.
"""

from __future__ import annotations

import hashlib
from typing import Final

SALT_BYTES: Final = 20
_ROUNDS: Final = 5000
_LETTERS: Final = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def salt(drawn: bytes) -> bytes:
    """A salt of letters, from as many bytes that were drawn."""
    assert len(drawn) == SALT_BYTES
    return bytes(_LETTERS[each & 63] for each in drawn)


def stored(password: bytes, salted: bytes) -> bytes:
    """The text that the server compares with."""
    return b"$A$%03d$" % (_ROUNDS // 1000) + salted + _letters(_digest(password, salted))


def _digest(password: bytes, salted: bytes) -> bytes:
    size, whole = len(password), hashlib.sha256
    other = whole(password + salted + password).digest()
    first = whole(password + salted + _long(other, size))
    while size:
        first.update(other if size & 1 else password)
        size >>= 1
    digest = first.digest()
    of_password = _long(whole(password * len(password)).digest(), len(password))
    of_salt = _long(whole(salted * (16 + digest[0])).digest(), len(salted))
    for number in range(_ROUNDS):
        odd = number & 1
        text = of_password if odd else digest
        text += of_salt if number % 3 else b""
        text += of_password if number % 7 else b""
        digest = whole(text + (digest if odd else of_password)).digest()
    return digest


def _long(digest: bytes, size: int) -> bytes:
    """The digest, as often as it takes."""
    return (digest * (size // len(digest) + 1))[:size]


def _letters(digest: bytes) -> bytes:
    """Six bits a letter, of three bytes at a time, which are ten apart and change their places."""
    found, places = bytearray(), (0, 10, 20)
    for _ in range(10):
        found += _four(*(digest[place] for place in places))
        places = (places[2] + 1, places[0] + 1, places[1] + 1)
    return bytes(found + _four(0, digest[31], digest[30])[:3])


def _four(high: int, middle: int, low: int) -> bytes:
    bits = high << 16 | middle << 8 | low
    return bytes(_LETTERS[bits >> shift & 63] for shift in (0, 6, 12, 18))
