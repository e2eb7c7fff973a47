"""C2PA content credentials: the statement signed with the user's certificate, so that changes to the file show.

Specification: C2PA 2.x, https://c2pa.org/specifications; written and read with the package c2pa-python.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError, LikenessError, MissingPackageError
from .credential_sizes import check_credential_sizes
from .statement import CREATED_WITH, Statement, from_json, to_json

#: Files of the user's credentials folder: the certificate with its chain, leaf first, and the key, both PEM.
CERTIFICATE, PRIVATE_KEY = "certificate.pem", "private_key.pem"
ASSERTION = "org.likeness.operations"
#: A picture that a network made parts of (IPTC's list of digital source types).
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
#: Neither reading nor signing may ask anything of a network.
OFFLINE = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}}


class CredentialError(LikenessError):
    """Content credentials cannot be written or read."""


@dataclass(frozen=True)
class Credentials:
    """What signs. certificate: PEM chain, leaf first. private_key: PEM. algorithm: as C2PA names it."""

    certificate: Path
    private_key: Path
    algorithm: str = "es256"


@dataclass(frozen=True)
class Signature:
    """What a file's credentials say.

    state: "Invalid" when the file or its claims were changed, "Valid" when not, "Trusted" when the signer is also on a
    trust list. signer: name in the certificate, which anybody may have made unless the state is "Trusted".
    """

    state: str
    signer: str
    statement: Statement | None

    def describe(self) -> str:
        """What that means, for people."""
        meaning = {
            "Trusted": "the file is as it was signed, by a signer on a trust list",
            "Valid": "the file is as it was signed; nobody vouches for who the signer is",
        }.get(self.state, "the file or its claims were changed after signing")
        return f"Content credentials: {self.state}: {meaning}. Signer: {self.signer or 'unnamed'}."


def find_credentials(folder: Path) -> Credentials | None:
    """The user's credentials in a folder; None without any. Raises InputError when one of the two files is missing."""
    certificate, key = folder / CERTIFICATE, folder / PRIVATE_KEY
    present = [path.is_file() for path in (certificate, key)]
    if not any(present):
        return None
    if not all(present):
        missing = key if present[0] else certificate
        raise InputError(f"{missing} is missing: content credentials need {CERTIFICATE} and {PRIVATE_KEY} in {folder}.")
    return Credentials(certificate, key, _algorithm(key))


def _algorithm(key: Path) -> str:
    """The algorithm that goes with a private key: its curve or kind decides."""
    try:
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    except ImportError as error:
        raise _missing_package() from error
    try:
        found = load_pem_private_key(key.read_bytes(), password=None)
    except (ValueError, TypeError) as error:
        raise InputError(f"{key} is no private key in PEM without a password: {error}") from error
    if isinstance(found, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(found, rsa.RSAPrivateKey):
        return "ps256"
    curves = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
    name = found.curve.name if isinstance(found, ec.EllipticCurvePrivateKey) else type(found).__name__
    if name not in curves:
        raise InputError(f"{key} is a key of the kind {name}; C2PA takes {', '.join(curves)}, RSA and Ed25519.")
    return curves[name]


def sign_file(path: Path, statement: Statement, credentials: Credentials) -> None:
    """Put signed credentials into a picture or video, in place, all or nothing.

    Raises CredentialError when the package refuses the file, the certificate or the key; the file then stays as it was.
    """
    c2pa = _package()
    to_json(statement)  # refuses a statement that is too large before anything is written
    handle, temporary = tempfile.mkstemp(prefix=".likeness-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    try:
        info = c2pa.C2paSignerInfo(
            credentials.algorithm, credentials.certificate.read_bytes(), credentials.private_key.read_bytes(), None
        )
        context = c2pa.Context(settings=c2pa.Settings.from_dict(OFFLINE))
        with c2pa.Signer.from_info(info) as signer, c2pa.Builder(_manifest(path, statement), context) as builder:
            builder.sign_file(str(path), temporary, signer)
        os.replace(temporary, path)
    except (c2pa.C2paError, OSError, ValueError) as error:
        raise CredentialError(
            f"{path.name} could not be signed with {credentials.certificate}: {error}. C2PA wants a certificate chain "
            "whose first certificate is for signing and not its own issuer. The file is there without credentials."
        ) from error
    finally:
        Path(temporary).unlink(missing_ok=True)


def _manifest(path: Path, statement: Statement) -> dict[str, Any]:
    steps = [
        {"action": "c2pa.edited", "description": operation.action, "digitalSourceType": SOURCE_TYPE}
        for operation in statement.operations
    ]
    name, _, version = CREATED_WITH.partition(" ")
    return {
        "claim_generator_info": [{"name": name, "version": version}],
        "title": path.name,
        "assertions": [
            {
                "label": "c2pa.actions",
                "data": {"actions": [{"action": "c2pa.created", "digitalSourceType": SOURCE_TYPE}, *steps]},
            },
            {"label": ASSERTION, "data": json.loads(to_json(statement))},
        ],
    }


def read_credentials(path: Path) -> Signature | None:
    """The content credentials of a file, checked without any network; None when it carries none.

    Raises CredentialError for credentials that cannot be read, UnsafeFileError for those whose sizes do not fit the
    file, MissingPackageError without c2pa-python.
    """
    c2pa = _package()
    check_credential_sizes(path)
    try:
        context = c2pa.Context(settings=c2pa.Settings.from_dict(OFFLINE))
        reader = c2pa.Reader.try_create(str(path), context=context)
        if reader is None:
            return None
        with reader:
            state, manifest = str(reader.get_validation_state()), reader.get_active_manifest() or {}
    except (c2pa.C2paError, OSError, ValueError, KeyError) as error:
        raise CredentialError(f"The content credentials of {path.name} cannot be read: {error}") from error
    found = [item for item in manifest.get("assertions") or [] if item.get("label") == ASSERTION]
    statement = from_json(json.dumps(found[0].get("data"))) if found else None
    signer = manifest.get("signature_info") or {}
    return Signature(state, str(signer.get("common_name") or signer.get("issuer") or ""), statement)


def _package() -> Any:
    try:
        import c2pa
    except ImportError as error:
        raise _missing_package() from error
    return c2pa


def _missing_package() -> MissingPackageError:
    return MissingPackageError("Content credentials need the package c2pa-python: pip install c2pa-python")
