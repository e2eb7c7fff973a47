"""A certificate chain of our own for signing in tests: C2PA takes no certificate that is its own issuer."""

from __future__ import annotations

import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from likeness.pipelines.safety.credentials import CERTIFICATE, PRIVATE_KEY

PEM = serialization.Encoding.PEM


def write_certificate(folder: Path, curve: ec.EllipticCurve | None = None) -> None:
    """Write certificate.pem (leaf, issuer) and private_key.pem into a folder."""
    issuer_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(curve or ec.SECP256R1())
    leaf = _certificate("Likeness test signer", key.public_key(), issuer_key, is_issuer=False)
    issuer = _certificate("Likeness test issuer", issuer_key.public_key(), issuer_key, is_issuer=True)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CERTIFICATE).write_bytes(leaf.public_bytes(PEM) + issuer.public_bytes(PEM))
    plain = serialization.NoEncryption()
    (folder / PRIVATE_KEY).write_bytes(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, plain))


def _name(common: str) -> x509.Name:
    pairs = ((NameOID.COMMON_NAME, common), (NameOID.ORGANIZATION_NAME, "Likeness tests"))
    return x509.Name([x509.NameAttribute(kind, value) for kind, value in pairs])


def _certificate(
    common: str, key: ec.EllipticCurvePublicKey, issuer_key: ec.EllipticCurvePrivateKey, is_issuer: bool
) -> x509.Certificate:
    now, day = datetime.datetime.now(datetime.timezone.utc), datetime.timedelta(days=1)
    usage = x509.KeyUsage(not is_issuer, False, False, False, False, is_issuer, is_issuer, False, False)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(common))
        .issuer_name(_name("Likeness test issuer"))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + 30 * day)
        .add_extension(x509.BasicConstraints(ca=is_issuer, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if not is_issuer:
        signing = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        builder = builder.add_extension(signing, critical=False)
    return builder.sign(issuer_key, hashes.SHA256())
