"""A self-signed certificate for 127.0.0.1, key and all in one file (`… certificate FILE`)."""

import datetime
import ipaddress
import sys
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LIFE: Final = datetime.timedelta(days=365)


def make(now: datetime.datetime) -> bytes:
    """The key and the certificate as PEM, in this order."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    alternatives = [
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    ]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + LIFE)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)


def main(path: Path) -> None:
    """Write the file anew, for its owner only."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(make(datetime.datetime.now(datetime.UTC)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
