"""The manifest and the code say the same; every file is listed once, and found where users keep it."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from likeness.pipelines.errors import InputError, MissingWeightsError, WrongWeightsError
from likeness.pipelines.runtime import TorchRuntime
from likeness.pipelines.weights import ROOT, Manifest, WeightsEntry, find, locate, places, verify

MANIFEST = Manifest.load()
FIELDS = [
    *("id", "file", "folder", "aliases", "urls", "bytes", "about_bytes", "sha256", "licence", "commercial_use"),
    *("territory", "needs", "used_by", "embedded", "source"),
]

each_entry = pytest.mark.parametrize("entry", MANIFEST.entries, ids=lambda entry: entry.id)


def code_files(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def test_every_record_has_exactly_the_known_fields_in_their_order() -> None:
    records = json.loads((ROOT / "weights_manifest.json").read_text(encoding="utf-8"))["weights"]
    assert [list(record) for record in records] == [FIELDS] * len(records)


def test_no_two_entries_share_an_id_a_place_or_a_content() -> None:
    ids = [entry.id for entry in MANIFEST.entries]
    hashes = [entry.sha256 for entry in MANIFEST.entries if entry.sha256]
    paths = [path for entry in MANIFEST.entries for path in (f"{entry.folder}/{entry.file}", *entry.aliases)]
    for values in (ids, hashes, paths):
        assert len(values) == len(set(values))


@each_entry
def test_an_entry_has_valid_values(entry: WeightsEntry) -> None:
    assert re.fullmatch(r"[a-z0-9][a-z0-9_.]*", entry.id)
    assert entry.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", entry.sha256)
    assert entry.size_bytes is None or entry.size_bytes > 0
    assert entry.about_bytes is None or (entry.about_bytes > 0 and entry.size_bytes is None)
    assert entry.commercial_use in ("yes", "no", "unknown")
    assert entry.licence
    assert entry.source
    assert all(url.startswith("https://") for url in entry.urls)
    assert all(MANIFEST.entry(needed) for needed in entry.needs)


@each_entry
def test_no_path_of_an_entry_leaves_the_models_folder(entry: WeightsEntry) -> None:
    for path in (f"{entry.folder}/{entry.file}", *entry.aliases):
        assert not path.startswith("/")
        assert ".." not in path.split("/")
        assert "\\" not in path
        assert path == str(Path(path).as_posix())


@each_entry
def test_an_entry_can_be_had_from_somewhere(entry: WeightsEntry) -> None:
    assert entry.embedded != bool(entry.urls)


@each_entry
def test_the_code_asks_for_every_entry_by_its_id(entry: WeightsEntry) -> None:
    pattern = re.compile(rf"[\"']{re.escape(entry.id)}(?:\.safetensors)?[\"']")
    assert any(pattern.search(path.read_text(encoding="utf-8")) for path in code_files("pipelines", "nodes"))


@each_entry
def test_the_nodes_an_entry_says_it_is_used_by_exist(entry: WeightsEntry) -> None:
    nodes = "\n".join(path.read_text(encoding="utf-8") for path in code_files("nodes"))
    assert entry.used_by
    for node in entry.used_by:
        assert f'"{node}"' in nodes


def test_every_id_that_the_code_asks_for_is_listed() -> None:
    asked = re.compile(r"\.(?:load|load_session|find|entry)\(\s*[\"']([a-z0-9_.]+)[\"']")
    for path in code_files("pipelines", "nodes", "cli"):
        for weights_id in asked.findall(path.read_text(encoding="utf-8")):
            assert MANIFEST.entry(weights_id), path


def test_every_embedded_file_is_listed_and_is_the_one_that_is_listed() -> None:
    listed = {ROOT / entry.folder / entry.file: entry for entry in MANIFEST.entries if entry.embedded}
    assert set(listed) == {path for path in (ROOT / "pipelines").rglob("*") if path.suffix in (".safetensors", ".onnx")}
    for path, entry in listed.items():
        assert path.stat().st_size == entry.size_bytes
        assert hashlib.sha256(path.read_bytes()).hexdigest() == entry.sha256
        assert locate(entry, TorchRuntime()) == path


def test_every_embedded_file_is_named_with_its_licence_in_the_notice() -> None:
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    for entry in MANIFEST.entries:
        if entry.embedded:
            assert entry.file in notice
            assert entry.commercial_use == "yes"


def fake(entry: WeightsEntry, models: Path, below: str, content: bytes = b"0123456789") -> Path:
    path = models / below
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.fixture
def entry() -> WeightsEntry:
    return WeightsEntry(
        id="detector", file="a.onnx", folder="insightface/models/antelopev2",
        aliases=("insightface/models/antelopev2/antelopev2/a.onnx", "insightface/models/buffalo_l/b.onnx"),
        urls=("https://example.org/a.onnx",), size_bytes=10, sha256=hashlib.sha256(b"0123456789").hexdigest(),
        licence="research only", commercial_use="no", territory="", needs=(), used_by=("Node",), embedded=False,
        source="drawn in the test",
    )  # fmt: skip


@pytest.mark.parametrize(
    "below",
    [
        "insightface/models/antelopev2/a.onnx",
        "insightface/models/antelopev2/antelopev2/a.onnx",
        "insightface/models/buffalo_l/b.onnx",
    ],
)
def test_a_file_is_used_where_it_lies(entry: WeightsEntry, tmp_path: Path, below: str) -> None:
    path = fake(entry, tmp_path, below)
    assert locate(entry, TorchRuntime(model_folders={"": tmp_path})) == path


def test_the_users_other_folders_are_searched_too(entry: WeightsEntry, tmp_path: Path) -> None:
    path = fake(entry, tmp_path / "elsewhere", "models/antelopev2/antelopev2/a.onnx")
    runtime = TorchRuntime(model_folders={"": tmp_path / "models", "insightface": tmp_path / "elsewhere"})
    assert locate(entry, runtime) == path


def test_its_own_folder_is_preferred_to_an_alias(entry: WeightsEntry, tmp_path: Path) -> None:
    fake(entry, tmp_path, entry.aliases[1])
    path = fake(entry, tmp_path, f"{entry.folder}/{entry.file}")
    assert locate(entry, TorchRuntime(model_folders={"": tmp_path})) == path


def test_a_file_of_another_size_is_passed_over_for_a_right_one(entry: WeightsEntry, tmp_path: Path) -> None:
    fake(entry, tmp_path, f"{entry.folder}/{entry.file}", b"cut")
    path = fake(entry, tmp_path, entry.aliases[1])
    assert find(entry, TorchRuntime(model_folders={"": tmp_path})) == path


def test_only_a_file_of_another_size_is_an_error_with_both_sizes_and_hashes(
    entry: WeightsEntry, tmp_path: Path
) -> None:
    path = fake(entry, tmp_path, entry.aliases[0], b"cut")
    with pytest.raises(WrongWeightsError) as caught:
        find(entry, TorchRuntime(model_folders={"": tmp_path}))
    for part in (str(path), "3 bytes", "10 bytes", str(entry.sha256), hashlib.sha256(b"cut").hexdigest()):
        assert part in str(caught.value)


def test_a_changed_file_is_hashed_again(entry: WeightsEntry, tmp_path: Path) -> None:
    path = fake(entry, tmp_path, entry.aliases[0])
    assert verify(entry, path) == entry.sha256
    path.write_bytes(b"9876543210")
    os.utime(path, (1, 1))  # file systems count time in steps that a test can fit into
    with pytest.raises(WrongWeightsError):
        verify(entry, path)


def test_a_missing_embedded_file_says_that_the_installation_is_incomplete(entry: WeightsEntry) -> None:
    embedded = replace(entry, embedded=True, folder="pipelines/identity/embedded", file="gone.safetensors")
    assert places(embedded, TorchRuntime()) == (ROOT / "pipelines/identity/embedded/gone.safetensors",)
    with pytest.raises(MissingWeightsError, match=r"gone\.safetensors belongs to this pack.*incomplete"):
        locate(embedded, TorchRuntime())


def test_a_file_that_is_no_manifest_is_named(tmp_path: Path) -> None:
    path = tmp_path / "weights.json"
    path.write_text('{"weights": [{"id": "x"}]}')
    with pytest.raises(InputError, match=r"weights\.json is no weights manifest: KeyError\('file'\)"):
        Manifest.load(path)
