"""Weights are fetched only after agreement, and appear only when their content is right."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from likeness.cli import fetch
from likeness.cli.errors import CommandError, UsageError
from likeness.pipelines.weights import Manifest, WeightsEntry

CONTENT = b"weights" * 1000


def entry(content: bytes = CONTENT) -> WeightsEntry:
    known = next(entry for entry in Manifest.load().entries if not entry.embedded)
    return replace(known, size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


def test_first_address_with_the_right_content_wins(tmp_path: Path) -> None:
    (tmp_path / "wrong").write_bytes(CONTENT[:-1] + b"?")
    (tmp_path / "long").write_bytes(CONTENT + b"more")
    (tmp_path / "right").write_bytes(CONTENT)
    urls = [(tmp_path / name).as_uri() for name in ("none", "wrong", "long", "right")]
    path = fetch.download(entry(), tmp_path / "models", urls)
    assert path.read_bytes() == CONTENT
    assert [file.name for file in (tmp_path / "models").iterdir()] == [entry().file]


def test_wrong_content_leaves_nothing_and_says_both_hashes(tmp_path: Path) -> None:
    (tmp_path / "wrong").write_bytes(b"?" * len(CONTENT))
    with pytest.raises(CommandError) as raised:
        fetch.download(entry(), tmp_path / "models", [(tmp_path / "wrong").as_uri(), "http://example.invalid/x"])
    assert entry().sha256 in str(raised.value)
    assert hashlib.sha256(b"?" * len(CONTENT)).hexdigest() in str(raised.value)
    assert "unprotected connection" in str(raised.value)
    assert not list((tmp_path / "models").iterdir())


def test_file_without_a_known_hash_is_not_fetched(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="has no known sha256"):
        fetch.download(replace(entry(), sha256=None), tmp_path, ["https://example.invalid/x"])


def test_nothing_is_fetched_without_agreement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fetch, "download", lambda *rest: pytest.fail("downloaded without agreement"))
    known = entry().id
    with pytest.raises(UsageError, match="add --accept-licence"):
        fetch.main([known, "--models", str(tmp_path)])
    assert entry().licence in capsys.readouterr().out


def test_unknown_id_and_no_id_list_what_there_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="There are no weights 'nothing'"):
        fetch.main(["nothing", "--models", str(tmp_path)])
    assert fetch.main(["--models", str(tmp_path)]) == 0
    assert entry().id in capsys.readouterr().out
