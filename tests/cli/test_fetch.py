"""The command shows size and licence, asks, and brings files from a real server to where ComfyUI looks for them."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from likeness.cli import commands, fetch
from likeness.cli.comfyui import ComfyUI
from likeness.cli.errors import CommandError, UsageError
from likeness.cli.model_folders import extra_folders, runtime_of
from likeness.pipelines.weights import Manifest, find
from likeness.tests.download.file_server import FileServer, Served, serving
from likeness.tests.download.wanted import CONTENT, entry_of

DETECTOR = entry_of(id="detector", file="d.onnx", licence="free", commercial_use="yes")
SWAPPER = entry_of(CONTENT[1:], id="swapper", file="s.onnx", needs=("detector",), territory="Nowhere")
MANIFEST = Manifest((DETECTOR, SWAPPER))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    with serving() as served:
        monkeypatch.setenv("LIKENESS_MIRROR", served.url)
        monkeypatch.delenv("http_proxy", raising=False)
        monkeypatch.setattr(Manifest, "load", lambda: MANIFEST)
        served.files["/swappers/d.onnx"] = Served(CONTENT)
        served.files["/swappers/s.onnx"] = Served(CONTENT[1:])
        yield served


def test_a_file_comes_with_what_it_needs_after_its_terms_were_shown(
    server: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fetch.main(["swapper", "--accept", "--models", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    target = tmp_path / "swappers" / "s.onnx"
    for part in (
        f"swapper: 0.3 MB, goes to {target}",
        "licence  research only (commercial use: no; not allowed in Nowhere)",
        "licence  free (commercial use: yes)",
        f"wrote {target}",
    ):
        assert part in told
    assert told.index("research only") < told.index("Fetching s.onnx")
    assert target.read_bytes() == CONTENT[1:]
    assert (tmp_path / "swappers" / "d.onnx").read_bytes() == CONTENT
    server.asked.clear()
    assert fetch.main(["swapper", "--models", str(tmp_path)]) == 0
    assert f"swapper is there: {target}" in capsys.readouterr().out
    assert server.asked == []


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_every_licence_is_asked_for_and_a_no_fetches_nothing_at_all(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal("yes\nno\n"))
    with pytest.raises(CommandError, match="detector not fetched: the licence was not agreed to"):
        fetch.main(["swapper", "--models", str(tmp_path)])
    assert server.asked == []
    monkeypatch.setattr(sys, "stdin", Terminal("yes\nyes\n"))
    assert fetch.main(["swapper", "--models", str(tmp_path)]) == 0


def test_nothing_is_fetched_without_a_terminal_and_without_accept(
    server: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError, match="add --accept to agree"):
        fetch.main(["detector", "--models", str(tmp_path)])
    assert "licence  free" in capsys.readouterr().out
    assert server.asked == []


def test_unknown_ids_and_files_of_the_pack_are_refused_and_no_id_lists_what_there_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError, match=r"'inswaper_128'.*nearest are: inswapper_128, "):
        fetch.main(["inswaper_128", "--models", str(tmp_path)])
    with pytest.raises(UsageError, match="arrives with the pack"):
        fetch.main(["dlib_resnet_128", "--models", str(tmp_path)])
    assert fetch.main(["--models", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "- inswapper_128 " in told and "- antelopev2 " in told


def test_a_failed_download_is_one_message_and_exit_code_1(
    server: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.files.clear()
    assert commands.main(["fetch", "detector", "--accept", "--models", str(tmp_path)]) == 1
    told = capsys.readouterr().err
    assert told.startswith("likeness fetch: d.onnx could not be fetched:\n")
    assert f"put it at {tmp_path / 'swappers' / 'd.onnx'}" in told


def test_models_are_found_where_extra_model_paths_points(tmp_path: Path) -> None:
    (tmp_path / "extra_model_paths.yaml").write_text(
        "a111:\n  base_path: shared\n  swappers: |\n    one\n    two\n  clip: text\n"
        "mine:\n  base_path: /big/disk\n  is_default: true\n  swappers: first\nempty:\n",
        encoding="utf-8",
    )
    folders = extra_folders(tmp_path / "extra_model_paths.yaml")
    assert folders == {
        "swappers": [Path("/big/disk/first"), tmp_path / "shared" / "one", tmp_path / "shared" / "two"],
        "text_encoders": [tmp_path / "shared" / "text"],
    }
    place = tmp_path / "shared" / "two" / "d.onnx"
    place.parent.mkdir(parents=True)
    place.write_bytes(CONTENT)
    runtime = runtime_of(ComfyUI(tmp_path, tmp_path, "the test"))
    assert find(DETECTOR, runtime) == place


@pytest.mark.parametrize("text", ["[1, 2]", "a: [", "a: text"])
def test_a_broken_extra_model_paths_is_named(tmp_path: Path, text: str) -> None:
    config = tmp_path / "extra_model_paths.yaml"
    config.write_text(text, encoding="utf-8")
    with pytest.raises(CommandError, match=r"extra_model_paths\.yaml"):
        extra_folders(config)


def test_every_archive_is_listed_with_its_hash_and_holds_known_files() -> None:
    records = json.loads(Path(fetch.__file__).parents[1].joinpath("weights_manifest.json").read_text("utf-8"))
    assert {archive["id"] for archive in records["archives"]} >= {"antelopev2", "buffalo_l"}
    manifest = Manifest.load()
    for archive in manifest.archives:
        assert len(archive.sha256) == 64
        for name in archive.contains:
            entry = manifest.entry(name)
            places = {f"{entry.folder}/{entry.file}", *entry.aliases}
            assert any(place.rpartition("/")[0] == archive.folder for place in places)
