"""Statements in pictures and videos, and their signatures."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
import torch
from PIL import Image

from likeness.pipelines.errors import InputError, UnsafeFileError
from likeness.pipelines.safety.credentials import CredentialError, find_credentials, read_credentials, sign_file
from likeness.pipelines.safety.picture_files import read_statement, save_picture
from likeness.pipelines.safety.statement import Statement, to_json
from likeness.tests.safety.certificates import write_certificate
from likeness.tests.safety.statements import STATEMENT

av = pytest.importorskip("av", reason="PyAV comes with ComfyUI")


@pytest.fixture
def picture() -> torch.Tensor:
    return torch.rand(24, 40, 3, generator=torch.Generator().manual_seed(3))


@pytest.fixture
def saved(tmp_path: Path, picture: torch.Tensor) -> Path:
    return save_picture(picture, tmp_path / "a.png", STATEMENT, {"workflow": '{"nodes": []}'})


def write_video(path: Path, metadata: dict[str, str]) -> Path:
    with av.open(str(path), "w", options={"movflags": "use_metadata_tags"}) as container:
        container.metadata.update(metadata)
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        for value in (0, 90, 180):
            frame = av.VideoFrame.from_ndarray(torch.full((32, 32, 3), value, dtype=torch.uint8).numpy(), "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_a_png_carries_the_statement_and_its_pixels_within_half_a_step(saved: Path, picture: torch.Tensor) -> None:
    assert read_statement(saved) == STATEMENT
    with Image.open(saved) as found:
        assert found.text["workflow"] == '{"nodes": []}'
        pixels = torch.tensor(list(found.getdata())).reshape(24, 40, 3) / 255
    assert float((pixels - picture).abs().max()) <= 0.5 / 255 + 1e-6


def test_a_picture_without_a_statement_says_nothing(tmp_path: Path, picture: torch.Tensor) -> None:
    assert read_statement(save_picture(picture, tmp_path / "b.png", None)) is None


def test_values_outside_the_range_and_nan_are_saved_as_the_nearest_step(tmp_path: Path) -> None:
    odd = torch.tensor([[[-1.0, 2.0, float("nan")]]])
    with Image.open(save_picture(odd, tmp_path / "c.png", None)) as found:
        assert found.getpixel((0, 0)) == (0, 255, 0)


def test_a_video_carries_the_statement(tmp_path: Path) -> None:
    assert read_statement(write_video(tmp_path / "a.mp4", {"likeness": to_json(STATEMENT)})) == STATEMENT
    assert read_statement(write_video(tmp_path / "b.mp4", {})) is None


def test_a_file_that_is_missing_broken_or_of_another_kind_is_named(tmp_path: Path, saved: Path) -> None:
    with pytest.raises(InputError, match="no file"):
        read_statement(tmp_path / "none.png")
    other = tmp_path / "a.gif"
    other.write_bytes(b"GIF89a")
    with pytest.raises(InputError, match=r"\.png, \.mp4"):
        read_statement(other)
    for name in ("cut.png", "cut.mp4"):
        broken = tmp_path / name
        broken.write_bytes(saved.read_bytes()[:9])
        with pytest.raises(UnsafeFileError, match=name):
            read_statement(broken)


def test_a_statement_that_was_edited_into_nonsense_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsafeFileError, match="no JSON"):
        read_statement(write_video(tmp_path / "a.mp4", {"likeness": to_json(STATEMENT)[:-5]}))


class TestSigned:
    """Content credentials, with a certificate made here."""

    pytestmark = pytest.mark.usefixtures("no_network")

    @pytest.fixture
    def no_network(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pytest.importorskip("c2pa", reason="content credentials need c2pa-python")

        def refuse(*_: object) -> None:
            raise AssertionError("signing or reading asked the network")

        monkeypatch.setattr(socket.socket, "connect", refuse)

    @pytest.fixture
    def certificates(self, tmp_path: Path) -> Path:
        write_certificate(tmp_path / "credentials")
        return tmp_path / "credentials"

    def sign(self, path: Path, certificates: Path) -> None:
        credentials = find_credentials(certificates)
        assert credentials is not None
        sign_file(path, STATEMENT, credentials)

    def test_a_signed_picture_is_valid_and_both_statements_agree(self, saved: Path, certificates: Path) -> None:
        self.sign(saved, certificates)
        signature = read_credentials(saved)
        assert signature is not None
        assert (signature.state, signature.signer) == ("Valid", "Likeness test signer")
        assert signature.statement == STATEMENT == read_statement(saved)
        assert "nobody vouches" in signature.describe()

    def test_a_signed_video_is_valid(self, tmp_path: Path, certificates: Path) -> None:
        video = write_video(tmp_path / "a.mp4", {"likeness": to_json(STATEMENT)})
        self.sign(video, certificates)
        signature = read_credentials(video)
        assert signature is not None and signature.state == "Valid"
        assert signature.statement == STATEMENT == read_statement(video)

    def test_one_changed_byte_makes_the_signature_invalid(self, saved: Path, certificates: Path) -> None:
        self.sign(saved, certificates)
        data = bytearray(saved.read_bytes())
        at = data.rindex(b"IDAT") + 12
        data[at] ^= 1
        saved.write_bytes(data)
        signature = read_credentials(saved)
        assert signature is not None and signature.state == "Invalid"
        assert "changed after signing" in signature.describe()

    def test_a_file_without_credentials_has_no_signature(self, saved: Path) -> None:
        assert read_credentials(saved) is None

    def test_a_folder_without_files_signs_nothing_and_half_a_pair_is_an_error(
        self, tmp_path: Path, certificates: Path
    ) -> None:
        assert find_credentials(tmp_path / "nothing") is None
        (certificates / "private_key.pem").unlink()
        with pytest.raises(InputError, match=r"private_key\.pem is missing"):
            find_credentials(certificates)

    def test_a_wrong_certificate_leaves_the_file_as_it_was(self, saved: Path, certificates: Path) -> None:
        before = saved.read_bytes()
        (certificates / "certificate.pem").write_text("no certificate")
        with pytest.raises(CredentialError, match=r"a\.png could not be signed"):
            self.sign(saved, certificates)
        assert saved.read_bytes() == before
        assert sorted(path.name for path in saved.parent.iterdir()) == ["a.png", "credentials"]

    def test_a_key_that_is_none_is_named(self, certificates: Path) -> None:
        (certificates / "private_key.pem").write_text(json.dumps({}))
        with pytest.raises(InputError, match=r"private_key\.pem is no private key"):
            find_credentials(certificates)

    def test_statements_of_nothing_can_be_signed_too(self, saved: Path, certificates: Path) -> None:
        credentials = find_credentials(certificates)
        assert credentials is not None
        sign_file(saved, Statement(()), credentials)
        signature = read_credentials(saved)
        assert signature is not None and signature.statement == Statement(())
