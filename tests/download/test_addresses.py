"""Which addresses are asked, in which order, over which connections; and what is said when none can be reached."""

from __future__ import annotations

import io
import urllib.request
from pathlib import Path

import pytest

from likeness.pipelines.download.connection import _Redirects
from likeness.pipelines.download.fetch import addresses
from likeness.pipelines.errors import DownloadError
from likeness.pipelines.runtime import TorchRuntime
from likeness.tests.download.file_server import FileServer, Served, serving
from likeness.tests.download.wanted import CONTENT, PLACE, bring, entry_of


def test_a_redirect_to_another_host_is_followed_and_resumed_there(server: FileServer, runtime: TorchRuntime) -> None:
    with serving("127.0.0.2") as store:
        server.files[PLACE] = Served(b"", redirect=f"{store.url}/blob?signature=x")
        store.files["/blob"] = Served(CONTENT, etag='"v1"', drops=[100_000])
        assert bring(entry_of(), runtime).read_bytes() == CONTENT
        assert [asked for _, asked in store.asked] == ["", "bytes=100000-"]


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x"])
def test_a_redirect_out_of_the_web_is_refused(server: FileServer, runtime: TorchRuntime, target: str) -> None:
    server.files[PLACE] = Served(b"", redirect=target)
    with pytest.raises(DownloadError, match="is not allowed|no protected"):
        bring(entry_of(), runtime)


def test_a_redirect_from_a_protected_to_an_unprotected_connection_is_refused() -> None:
    handler = _Redirects()
    for origin, refused in (("https://a.example/x", True), ("http://a.example/x", False)):
        request = urllib.request.Request(origin, headers={"Range": "bytes=5-"})
        if refused:
            with pytest.raises(DownloadError, match="no protected"):
                handler.redirect_request(request, io.BytesIO(), 302, "Found", {}, "http://b.example/y")
        else:
            followed = handler.redirect_request(request, io.BytesIO(), 302, "Found", {}, "http://b.example/y")
            assert followed is not None and followed.get_header("Range") == "bytes=5-"


def test_a_redirect_in_a_circle_ends(server: FileServer, runtime: TorchRuntime) -> None:
    server.files[PLACE] = Served(b"", redirect=server.url + PLACE)
    with pytest.raises(DownloadError, match="302"):
        bring(entry_of(), runtime)
    assert len(server.asked) < 15


def test_mirrors_are_tried_in_order(server: FileServer, runtime: TorchRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    server.files["/one" + PLACE] = Served(b"?" * len(CONTENT))
    server.files["/three" + PLACE] = Served(CONTENT)
    monkeypatch.setenv("LIKENESS_MIRROR", f"{server.url}/one, {server.url}/two/ {server.url}/three")
    assert bring(entry_of(), runtime).read_bytes() == CONTENT
    assert [path for path, _ in server.asked] == ["/one" + PLACE, "/two" + PLACE, "/three" + PLACE]


def test_addresses_prefer_mirrors_and_are_unprotected_only_where_the_content_can_be_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LIKENESS_MIRROR", "http://models.lan")
    monkeypatch.setenv("HF_ENDPOINT", "https://hub.example/")
    entry = entry_of(urls=("https://huggingface.co/x/y", "https://example.org/z"))
    assert addresses(entry) == (
        ("http://models.lan/swappers/a.onnx", True),
        ("https://hub.example/x/y", False),
        ("https://huggingface.co/x/y", False),
        ("https://example.org/z", False),
    )
    assert not any(unprotected for _, unprotected in addresses(entry_of(sha256=None)))
    monkeypatch.setenv("LIKENESS_MIRROR", "http://127.0.0.1:8000")
    assert addresses(entry_of(sha256=None)) == (("http://127.0.0.1:8000/swappers/a.onnx", True),)


def test_an_unprotected_address_is_not_asked_for_what_cannot_be_checked(
    server: FileServer, runtime: TorchRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIKENESS_MIRROR", server.url.replace("127.0.0.1", "127.0.0.2"))
    with pytest.raises(DownloadError, match="no protected"):
        bring(entry_of(sha256=None), runtime)
    assert server.asked == []


def test_a_proxy_of_the_environment_is_used_and_named_when_it_is_gone(
    server: FileServer, runtime: TorchRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files["http://models.example" + PLACE] = Served(CONTENT)  # a proxy is asked for the whole address
    monkeypatch.setenv("LIKENESS_MIRROR", "http://models.example")
    monkeypatch.setenv("http_proxy", server.url.replace("http://", "http://me:secret@"))
    assert bring(entry_of(), runtime).read_bytes() == CONTENT
    monkeypatch.setenv("http_proxy", "http://me:secret@127.0.0.1:9")
    with pytest.raises(DownloadError, match=r"through the proxy 127\.0\.0\.1:9") as caught:
        bring(entry_of(file="b.onnx"), runtime)
    assert "secret" not in str(caught.value)


def test_without_a_network_the_message_says_what_to_get_where_and_where_to_put_it(
    runtime: TorchRuntime, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("LIKENESS_MIRROR", raising=False)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    entry = entry_of(urls=("https://weights.invalid/a.onnx",))
    with pytest.raises(DownloadError) as caught:
        bring(entry, runtime)
    place = tmp_path / "models" / "swappers" / "a.onnx"
    for part in ("the name weights.invalid is not known", f"put it at {place}", "0.3 MB", entry.urls[0], entry.sha256):
        assert str(part) in str(caught.value)
