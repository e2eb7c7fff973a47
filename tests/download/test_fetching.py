"""Files arrive whole or not at all, over real connections that drop, stall and lie."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from likeness.pipelines.download.fetch import fetch
from likeness.pipelines.errors import CancelledError, DownloadError, InputError, NotAgreedError, WrongWeightsError
from likeness.pipelines.registry import Registry
from likeness.pipelines.runtime import TorchRuntime
from likeness.pipelines.weights import Manifest
from likeness.tests.download.file_server import FileServer, Served, sha256
from likeness.tests.download.wanted import CONTENT, PLACE, QUICK, bring, entry_of, files_below


def test_a_file_arrives_under_its_name_with_progress(server: FileServer, runtime: TorchRuntime, tmp_path: Path) -> None:
    server.files[PLACE] = Served(CONTENT)
    seen: list[tuple[int, int | None]] = []
    path = bring(entry_of(), runtime, lambda done, total: seen.append((done, total)))
    assert path == tmp_path / "models" / "swappers" / "a.onnx"
    assert path.read_bytes() == CONTENT
    assert files_below(tmp_path) == ["models/swappers/a.onnx"]
    assert seen[0] == (0, 300_000) and seen[-1] == (300_000, 300_000)


@pytest.mark.parametrize("agreed", ["", "yes", "research only (commercial use: yes)"])
def test_nothing_is_asked_of_the_network_without_agreement_to_the_very_terms(
    server: FileServer, runtime: TorchRuntime, agreed: str
) -> None:
    server.files[PLACE] = Served(CONTENT)
    entry = entry_of()
    with pytest.raises(NotAgreedError, match=r"It is research only \(commercial use: no\)"):
        fetch(entry, Manifest((entry,)), runtime, agreed, lambda done, total: None, QUICK)
    assert server.asked == []


def test_a_dropped_connection_goes_on_where_it_ended(server: FileServer, runtime: TorchRuntime) -> None:
    server.files[PLACE] = Served(CONTENT, etag='"v1"', drops=[100_000, 50_000])
    assert bring(entry_of(), runtime).read_bytes() == CONTENT
    assert server.asked == [(PLACE, ""), (PLACE, "bytes=100000-"), (PLACE, "bytes=150000-")]


def test_a_later_call_goes_on_where_the_cancelled_one_ended(
    server: FileServer, runtime: TorchRuntime, tmp_path: Path
) -> None:
    server.files[PLACE] = Served(CONTENT, pause_s=0.002)

    def cancel(done: int, total: int | None) -> None:
        if done >= 60_000:
            raise CancelledError("enough")

    with pytest.raises(CancelledError):
        bring(entry_of(), runtime, cancel)
    have = (tmp_path / "models/swappers/a.onnx.partial").stat().st_size
    assert 50_000 <= have < 200_000
    assert not (tmp_path / "models/swappers/a.onnx").exists()
    server.files[PLACE] = Served(CONTENT)
    assert bring(entry_of(), runtime).read_bytes() == CONTENT
    assert server.asked[-1] == (PLACE, f"bytes={have}-")
    assert files_below(tmp_path) == ["models/swappers/a.onnx"]


def test_a_server_without_ranges_is_read_from_the_start_again(server: FileServer, runtime: TorchRuntime) -> None:
    server.files[PLACE] = Served(CONTENT, ranges=False, drops=[100_000])
    assert bring(entry_of(), runtime).read_bytes() == CONTENT


def test_a_server_that_always_drops_is_given_up_and_what_came_is_kept(
    server: FileServer, runtime: TorchRuntime, tmp_path: Path
) -> None:
    server.files[PLACE] = Served(CONTENT, ranges=False, drops=[1000] * 50)
    with pytest.raises(DownloadError, match=r"ended after 1000 of 300000 bytes; 3 tries in a row brought nothing new"):
        bring(entry_of(), runtime)
    assert len(server.asked) == 4
    assert (tmp_path / "models/swappers/a.onnx.partial").stat().st_size == 1000


def test_a_stalled_connection_is_opened_again(server: FileServer, runtime: TorchRuntime) -> None:
    server.files[PLACE] = Served(CONTENT, drops=[200_000], stalls=True)
    assert bring(entry_of(), runtime).read_bytes() == CONTENT
    assert [asked for _, asked in server.asked] == ["", "bytes=200000-"]


def test_a_slow_connection_that_keeps_giving_is_waited_for(server: FileServer, runtime: TorchRuntime) -> None:
    content = CONTENT[:30_000]
    server.files[PLACE] = Served(content, pause_s=0.03)  # longer in all than the time-out of one silence
    assert bring(entry_of(content), runtime).read_bytes() == content
    assert len(server.asked) == 1


def test_a_chunked_answer_without_a_length_arrives(server: FileServer, runtime: TorchRuntime) -> None:
    server.files[PLACE] = Served(CONTENT, chunked=True)
    assert bring(entry_of(), runtime).read_bytes() == CONTENT


def test_a_chunked_answer_that_breaks_off_is_no_file(server: FileServer, runtime: TorchRuntime) -> None:
    server.files[PLACE] = Served(CONTENT, chunked=True, drops=[65_536] * 20, ranges=False)
    with pytest.raises(DownloadError, match="the connection failed after 65536 bytes"):
        bring(entry_of(size_bytes=None), runtime)


def test_busy_servers_are_asked_again_and_missing_files_not(server: FileServer, runtime: TorchRuntime) -> None:
    server.files[PLACE] = Served(CONTENT, fails=[503, 429])
    assert bring(entry_of(), runtime).read_bytes() == CONTENT
    asked = len(server.asked)
    assert asked == 3
    with pytest.raises(DownloadError, match=r"answered 404 Not Found: it has no such file any more"):
        bring(entry_of(file="b.onnx"), runtime)
    assert len(server.asked) == asked + 1


def test_wrong_content_leaves_nothing_and_says_both_hashes_and_the_place(
    server: FileServer, runtime: TorchRuntime, tmp_path: Path
) -> None:
    wrong = CONTENT[:-1] + b"?"
    server.files[PLACE] = Served(wrong)
    with pytest.raises(DownloadError) as caught:
        bring(entry_of(), runtime)
    for part in (sha256(wrong), sha256(CONTENT), str(tmp_path / "models/swappers/a.onnx"), "0.3 MB"):
        assert part in str(caught.value)
    assert files_below(tmp_path) == []


def test_the_beginning_of_another_file_is_dropped_and_fetched_whole(
    server: FileServer, runtime: TorchRuntime, tmp_path: Path
) -> None:
    partial = tmp_path / "models/swappers/a.onnx.partial"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(b"?" * 1000)
    server.files[PLACE] = Served(CONTENT)
    assert bring(entry_of(), runtime).read_bytes() == CONTENT
    assert [asked for _, asked in server.asked] == ["bytes=1000-", ""]


def test_a_file_that_changed_on_the_server_is_begun_again(server: FileServer, runtime: TorchRuntime) -> None:
    server.files[PLACE] = Served(b"?" * 300_000, etag='"old"', drops=[100_000])

    def change(done: int, total: int | None) -> None:
        if total is None:  # the pause between two tries
            server.files[PLACE] = Served(CONTENT, etag='"new"')

    assert bring(entry_of(), runtime, change).read_bytes() == CONTENT
    assert [asked for _, asked in server.asked] == ["", "bytes=100000-"]


def test_a_whole_partial_file_is_not_fetched_again(server: FileServer, runtime: TorchRuntime, tmp_path: Path) -> None:
    partial = tmp_path / "models/swappers/a.onnx.partial"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(CONTENT)
    server.files[PLACE] = Served(CONTENT)
    assert bring(entry_of(), runtime).read_bytes() == CONTENT
    assert [asked for _, asked in server.asked] == [f"bytes={len(CONTENT)}-"]


@pytest.mark.parametrize(
    ("served", "message"),
    [
        (Served(CONTENT + b"more"), "has 300004 bytes, expected 300000 bytes: another file"),
        (Served(CONTENT[:-5]), "has 299995 bytes, expected 300000 bytes: another file"),
        (Served(CONTENT + b"more", chunked=True), "gives more than the 300000 bytes the file has"),
        (Served(b"<html>" * 50_000, kind="text/html"), "answered with a web page instead of the file"),
    ],
)
def test_another_file_is_refused(server: FileServer, runtime: TorchRuntime, served: Served, message: str) -> None:
    server.files[PLACE] = served
    with pytest.raises(DownloadError, match=message):
        bring(entry_of(), runtime)


def test_two_fetches_of_one_file_at_once_do_not_mix(server: FileServer, runtime: TorchRuntime) -> None:
    server.files[PLACE] = Served(CONTENT[:60_000], pause_s=0.01)
    entry, began, problems = entry_of(CONTENT[:60_000]), threading.Event(), []

    def first() -> None:
        bring(entry, runtime, lambda done, total: began.set())

    thread = threading.Thread(target=first)
    thread.start()
    began.wait(5)
    try:
        bring(entry, runtime)
    except DownloadError as error:
        problems.append(str(error))
    thread.join()
    assert len(problems) == 1 and "is being fetched by another process" in problems[0]
    with pytest.raises(DownloadError, match="exists already. Move it away"):
        bring(entry, runtime)


def test_a_full_disk_is_said_before_anything_is_fetched(server: FileServer, runtime: TorchRuntime) -> None:
    with pytest.raises(DownloadError, match=r"a\.onnx needs 1020000000000 MB, but only \d+ MB are free"):
        bring(entry_of(size_bytes=10**18), runtime)
    assert server.asked == []


def test_what_arrives_with_the_pack_is_not_fetched(runtime: TorchRuntime) -> None:
    with pytest.raises(InputError, match="arrives with the pack"):
        bring(entry_of(embedded=True), runtime)


def test_a_hash_that_nobody_states_is_recorded_at_the_first_download_and_checked_ever_after(
    runtime: TorchRuntime, tmp_path: Path, server: FileServer
) -> None:
    server.files[PLACE] = Served(CONTENT)
    entry = entry_of(sha256=None, size_bytes=None, about_bytes=310_000)
    path = bring(entry, runtime)
    record = tmp_path / "models" / "likeness" / "fetched.json"
    assert json.loads(record.read_text()) == {
        "a": {"sha256": sha256(CONTENT), "bytes": 300_000, "url": server.url + PLACE}
    }
    registry = Registry(runtime, Manifest((entry,)))
    assert registry.find("a") == path
    path.write_bytes(CONTENT[:-1] + b"?")
    with pytest.raises(WrongWeightsError, match=sha256(CONTENT)):
        registry.load_session("a")
    path.unlink()
    server.files[PLACE] = Served(CONTENT[:-1] + b"?")
    with pytest.raises(DownloadError, match=f"expected {sha256(CONTENT)}"):
        bring(entry, runtime)
    record.write_text("[]")
    with pytest.raises(InputError, match=r"fetched\.json is damaged"):
        registry.find("a")


def test_a_size_that_is_only_published_rounded_is_held_to(
    runtime: TorchRuntime, server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files[PLACE] = Served(CONTENT)
    entry = entry_of(size_bytes=None, about_bytes=600_000)
    with pytest.raises(DownloadError, match="has 300000 bytes, expected about 600000 bytes"):
        bring(entry, runtime)
