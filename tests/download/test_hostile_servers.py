"""Servers that answer nonsense, and those that would lead away from a protected connection."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from pathlib import Path

import pytest

from likeness.pipelines.download.connection import open_address
from likeness.pipelines.download.transfer import Expected, receive
from likeness.pipelines.errors import DownloadError
from likeness.pipelines.runtime import TorchRuntime
from likeness.tests.download.file_server import FileServer, Served, serving
from likeness.tests.download.wanted import CONTENT, PLACE, QUICK, bring, entry_of, files_below

DIGITS = "9" * 5000


@pytest.mark.parametrize(
    "target",
    [
        "http://[::1",
        "http://a..b/",
        f"http://{'a' * 70}.example/",
        "http://127.0.0.1:99999999/x",
        "http://127.0.0.1:port/x",
        "http://a b/",
        "http://\x7f/",
        "//",
        "/" * 5000,
    ],
)
def test_a_redirect_to_what_is_no_address_is_an_error_of_that_download(
    server: FileServer, runtime: TorchRuntime, target: str
) -> None:
    server.files[PLACE] = Served(b"", redirect=target)
    with pytest.raises(DownloadError, match=r"a\.onnx could not be fetched"):
        bring(entry_of(), runtime)
    assert len(server.asked) <= 12


@pytest.mark.parametrize("mirror", ["http://[::1", "http://a..b", "http://127.0.0.1:port", "nonsense", "http://"])
def test_a_mirror_that_is_no_address_is_named(
    server: FileServer, runtime: TorchRuntime, monkeypatch: pytest.MonkeyPatch, mirror: str
) -> None:
    monkeypatch.setenv("LIKENESS_MIRROR", mirror)
    with pytest.raises(DownloadError, match="is not fetched: it is no"):
        bring(entry_of(), runtime)


@pytest.mark.parametrize("length", [DIGITS, "-5", "٣", "1_0"])
def test_a_length_that_is_no_size_is_an_error_of_that_download(
    server: FileServer, runtime: TorchRuntime, length: str
) -> None:
    server.files[PLACE] = Served(CONTENT, headers={"Content-Length": length})
    with pytest.raises(DownloadError, match="which is no size"):
        bring(entry_of(), runtime)


@pytest.mark.parametrize("part", [f"bytes {DIGITS}-1/2", "bytes ٣-4/5", "nonsense", ""])
def test_a_part_of_a_file_that_is_no_part_is_refused_and_what_came_is_kept(
    server: FileServer, tmp_path: Path, part: str
) -> None:
    partial = tmp_path / "a.partial"
    partial.write_bytes(b"abc")
    server.files[PLACE] = Served(CONTENT, status=206, headers={"Content-Range": part})
    expected = Expected(size_bytes=None, sha256="0" * 64, about_bytes=None)
    with pytest.raises(DownloadError, match=r"gave another part of the file than was asked for \(from byte 3 on\)"):
        receive(server.url + PLACE, partial, expected, lambda done, total: None, QUICK, unprotected=True)
    assert partial.read_bytes() == b"abc"


@pytest.mark.parametrize("fault", ["status", "headers"])
def test_an_answer_that_is_no_http_is_given_up(server: FileServer, runtime: TorchRuntime, fault: str) -> None:
    raw = b"\0\xff nonsense\r\n\r\n" if fault == "status" else b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 500 + b"\r\n"
    server.files[PLACE] = Served(CONTENT, raw=raw)
    with pytest.raises(DownloadError, match="3 tries in a row brought nothing new"):
        bring(entry_of(), runtime)
    assert files_below(runtime.model_folders("")[0]) == []


def write_certificate(folder: Path) -> Path:
    """A certificate for 127.0.0.1 that is its own issuer, with its key."""
    pytest.importorskip("cryptography", reason="the server's certificate is made with cryptography")
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "this machine")])
    now, day = datetime.datetime.now(datetime.timezone.utc), datetime.timedelta(days=1)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - day, now + day)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    kept = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "server.pem"
    path.write_bytes(kept + certificate.public_bytes(serialization.Encoding.PEM))
    return path


def test_a_protected_server_that_leads_to_an_unprotected_one_is_not_followed(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem = write_certificate(tmp_path)
    protection = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    protection.load_cert_chain(pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    server.files[PLACE] = Served(CONTENT)
    with serving(protection=protection) as protected:
        protected.files["/here"] = Served(b"protected")
        protected.files["/on"] = Served(b"", redirect=protected.url + "/here")
        protected.files["/away"] = Served(b"", redirect=server.url + PLACE)
        for unprotected in (False, True):
            with open_address(f"{protected.url}/on", {}, 5, unprotected) as answer:
                assert answer.read() == b"protected"
            with pytest.raises(DownloadError, match="it is no protected"):
                open_address(f"{protected.url}/away", {}, 5, unprotected)
        monkeypatch.delenv("SSL_CERT_FILE")
        with pytest.raises(DownloadError, match=r"the certificate of 127\.0\.0\.1 is not trusted here"):
            open_address(f"{protected.url}/here", {}, 5)
    assert server.asked == []
