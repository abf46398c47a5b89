"""What MySQL stores of a password, by vectors of SHA-crypt: the first two are its author's, the
others are what the C library makes."""

from __future__ import annotations

import pytest

from guest_agent.datastores.mysql import sha2

VECTORS = [
    ("Hello world!", "saltstring", "5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"),
    ("This is just a test", "toolongsaltstrin", "Un/5jzAHMgOGZ5.mWJpuVolil07guHPvOW8mGRcvxa5"),
    ("x" * 40, "short", "Q41Rq2YaTObz6glEOIeGWCiUNpl0NatnS59Sy15KQ5/"),
    ("é☃" * 30, "0123456789abcdef", "RjhD1w8uZROIyYS8hRvPcHYUWvyutvtsDHDlH7pv7U4"),
]


@pytest.mark.parametrize(("password", "salt", "digest"), VECTORS)
def test_a_digest_is_that_of_sha_crypt(password: str, salt: str, digest: str) -> None:
    expected = f"$A$005${salt}{digest}".encode()
    assert sha2.stored(password.encode(), salt.encode()) == expected


def test_a_salt_is_of_letters_and_follows_from_what_was_drawn() -> None:
    drawn = bytes(range(236, 256))
    assert sha2.salt(drawn) == sha2.salt(drawn) != sha2.salt(bytes(20))
    assert sha2.salt(bytes(20)) == b"." * sha2.SALT_BYTES
    assert not set(sha2.salt(bytes(range(20)))) & set(b"$\0")
