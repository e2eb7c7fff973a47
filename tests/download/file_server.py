"""A real HTTP server on this machine that gives files the ways servers do: ranges, redirects, drops, trickles."""

from __future__ import annotations

import hashlib
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Served:
    """A file and how it is given.

    drops: per request, after how many bytes the connection ends (none when used up). headers: instead of or besides the
    right ones. raw: the whole answer.
    """

    content: bytes
    etag: str = ""
    ranges: bool = True
    drops: list[int] = field(default_factory=list)
    fails: list[int] = field(default_factory=list)
    redirect: str = ""
    kind: str = "application/octet-stream"
    pause_s: float = 0.0
    stalls: bool = False
    chunked: bool = False
    length: int | None = None
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes = b""


@dataclass
class FileServer:
    """The running server. asked: (path, Range header) of every request."""

    url: str
    files: dict[str, Served] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    served: FileServer

    def log_message(self, format: str, *args: object) -> None:
        """The tests read `asked` instead."""

    def do_GET(self) -> None:
        self.close_connection = True
        path = self.path.partition("?")[0]
        self.served.asked.append((self.path, self.headers.get("Range", "")))
        file = self.served.files.get(path)
        if file is None:
            self.send_error(404)
        elif file.fails:
            self.send_error(file.fails.pop(0))
        elif file.raw:
            self.wfile.write(file.raw)
        elif file.redirect:
            self.send_response(302)
            self._header("Location", file.redirect)
            self.end_headers()
        else:
            self._give(file)

    def _give(self, file: Served) -> None:
        start = self._start(file)
        if start and start >= len(file.content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(file.content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(file.status or (206 if start else 200))
        self.send_header("Content-Type", file.kind)
        for name, text in file.headers.items():
            self._header(name, text)
        if file.etag:
            self.send_header("ETag", file.etag)
        if start and "Content-Range" not in file.headers:
            self.send_header("Content-Range", f"bytes {start}-{len(file.content) - 1}/{len(file.content)}")
        if file.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif "Content-Length" not in file.headers:
            self.send_header("Content-Length", str(file.length or len(file.content) - start))
        self.end_headers()
        self._send(file, file.content[start:])

    def _header(self, name: str, text: str) -> None:
        """A header in UTF-8, which is not what headers are in."""
        self.send_header(name, text.encode().decode("latin-1"))

    def _start(self, file: Served) -> int:
        asked = self.headers.get("Range", "")
        condition = self.headers.get("If-Range")
        if not asked or not file.ranges or (condition is not None and condition != file.etag):
            return 0
        return int(asked.removeprefix("bytes=").removesuffix("-"))

    def _send(self, file: Served, content: bytes) -> None:
        end = min(len(content), file.drops.pop(0)) if file.drops else len(content)
        step = 1000 if file.pause_s else 1 << 16
        for begin in range(0, end, step):
            block = content[begin : min(begin + step, end)]
            if file.chunked:
                block = b"%x\r\n%s\r\n" % (len(block), block)
            self.wfile.write(block)
            self.wfile.flush()
            time.sleep(file.pause_s)
        if file.stalls and end < len(content):
            time.sleep(1.0)
        if file.chunked and end == len(content):
            self.wfile.write(b"0\r\n\r\n")


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up in the middle are what the tests are about."""


@contextmanager
def serving(host: str = "127.0.0.1", port: int = 0, protection: ssl.SSLContext | None = None) -> Iterator[FileServer]:
    """Serve on a free port of this machine until the block ends. protection: what makes it an https server."""
    handler = type("Handler", (_Handler,), {})
    server = _Server((host, port), handler)
    if protection is not None:
        server.socket = protection.wrap_socket(server.socket, server_side=True)
    served = FileServer(f"{'http' if protection is None else 'https'}://{host}:{server.server_port}")
    handler.served = served
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
