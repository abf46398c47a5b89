"""Whose certificates the cloud may have: those of the public authorities or the operator's own.

A function's variables have 4 KB together, and the certificate of an authority with a key of 4,096
bits has 1,900 to 2,300 characters in PEM. Where PEM is too long a setting holds it packed: what is
said twice in it, as its issuer, once, and in 85 letters instead of 64.
"""

from __future__ import annotations

import tempfile
from typing import Final

from chalicelib import aws
from chalicelib.settings import BadSetting, settings

FIRST_LINE: Final = "-----BEGIN CERTIFICATE-----\n"
MOST_BYTES: Final = 16384
"""Of certificates that are packed: many times what fits into a setting."""


def authority() -> str | None:
    """The file with the operator's own authority; None where the public ones are trusted."""
    return aws.remembered("authority", _written)


def packed(certificates: list[str]) -> str:
    """Certificates in PEM as a setting takes them that is too short for PEM."""
    import base64
    import ssl
    import zlib

    import msgspec

    ders = [ssl.PEM_cert_to_DER_cert(each) for each in certificates]
    return base64.b85encode(zlib.compress(msgspec.msgpack.encode(ders), 9)).decode()


def unpacked(text: str) -> list[str]:
    """The certificates in PEM; `BadSetting` where the text is nothing that `packed` has made."""
    import base64
    import ssl
    import zlib

    import msgspec

    try:
        whole = zlib.decompressobj().decompress(base64.b85decode(text), MOST_BYTES)
        ders = msgspec.msgpack.decode(whole, type=list[bytes])
    except (ValueError, zlib.error, msgspec.DecodeError) as error:
        raise BadSetting(f"OS_CACERT is neither PEM nor packed certificates: {error}") from None
    return [ssl.DER_cert_to_PEM_cert(each) for each in ders]


def _written() -> str | None:
    if not (certificate := settings().os_cacert):
        return None
    if not certificate.startswith(FIRST_LINE):
        certificate = "".join(unpacked(certificate))
    # The libraries take a file; the container's own folder is the only place to write one.
    with tempfile.NamedTemporaryFile("w", suffix=".pem", delete=False) as file:
        file.write(certificate)
    return file.name
