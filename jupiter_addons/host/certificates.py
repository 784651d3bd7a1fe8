"""The certificate authority of the intercept door.

mitmproxy makes one by itself, RSA-2048, and signs each host's leaf with the same key.  One on P-256 is made here instead:
a TLS handshake then costs a third of the CPU.
"""

import datetime
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from jupiter_addons.errors import StoreError

KEY_FILE = "mitmproxy-ca.pem"
"""Key and certificate, under the name mitmproxy looks for."""
CERTIFICATE_FILE = "mitmproxy-ca-cert.pem"
"""The certificate alone: what clients are told to trust."""

BUNDLE_FILE = "upstream-ca.pem"
"""The authorities that providers are checked against: the public ones and the operator's."""

_YEARS = 10


def ensure(directory: Path, now: datetime.datetime) -> Path:
    """Create the authority in `directory` if there is none; return the certificate's path.  Raises StoreError.

    The key file is 0600 in a directory that is 0700: whoever has it can impersonate any host to the clients.
    """
    try:
        return _ensure(directory, now)
    except OSError as error:
        raise StoreError(f"cannot keep the certificate authority in `{directory}`: {error}") from error


def _ensure(directory: Path, now: datetime.datetime) -> Path:
    certificate, key = directory / CERTIFICATE_FILE, directory / KEY_FILE
    if key.exists():
        return certificate
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    private = ec.generate_private_key(ec.SECP256R1())
    pem = _self_signed(private, now).public_bytes(serialization.Encoding.PEM)
    secret = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    certificate.write_bytes(pem)
    key.touch(mode=0o600)
    key.write_bytes(secret + pem)
    return certificate


def bundle(directory: Path, more: Path) -> Path:
    """Write the public authorities and those in `more` to one file in `directory`; return its path.

    Raises ValueError if `more` holds no certificate, OSError if it cannot be read.
    """
    pem = more.read_bytes()
    if not x509.load_pem_x509_certificates(pem):
        raise ValueError("it holds no certificate")
    target = directory / BUNDLE_FILE
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    target.write_bytes(with_public(pem))
    return target


def with_public(pem: bytes) -> bytes:
    """Return the public authorities and these."""
    return Path(certifi.where()).read_bytes() + b"\n" + pem


def _self_signed(private: ec.EllipticCurvePrivateKey, now: datetime.datetime) -> x509.Certificate:
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, "Mercator Jupiter CA"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Mercator Jupiter"),
        ]
    )
    public = private.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=2))
        .not_valid_after(now + datetime.timedelta(days=365 * _YEARS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(
            x509.KeyUsage(
                digital_signature=False,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=True,
                crl_sign=True,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .sign(private, hashes.SHA256())
    )
