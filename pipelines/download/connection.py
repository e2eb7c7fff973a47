"""Opening an address: which are allowed, over which proxy, and what an answer means."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import IO, Any

from ..errors import DownloadError

AGENT = "ComfyUI-Likeness"

#: Answers that another try may change: timeout, too many requests, and the server's own troubles.
_PASSING = {408, 425, 429, 500, 502, 503, 504}

_EXPLAINED = {
    401: "it wants an account: open the address in a browser, sign in and accept the conditions there",
    403: "it refuses: open the address in a browser, it may want an account or its conditions accepted",
    404: "it has no such file any more",
    407: "the proxy wants a name and a password: put them into the proxy's address",
    410: "it has no such file any more",
    451: "it may not give the file for legal reasons",
}


class Interrupted(Exception):
    """The connection failed in a way that another try may mend."""


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows to other hosts, which file stores do, but never from a protected connection to an unprotected one."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        check_address(newurl, unprotected=not req.full_url.startswith("https:"))
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def check_address(url: str, unprotected: bool) -> None:
    """Raise DownloadError unless an address is https, or http where `unprotected` connections are allowed."""
    try:
        parts = urllib.parse.urlsplit(url)
        host = (parts.hostname or "").encode("idna")
        _ = parts.port  # whether it is one
    except ValueError as error:
        raise DownloadError(f"{url[:200]} is not fetched: it is no address ({error}).") from error
    if parts.scheme not in (("https", "http") if unprotected else ("https",)) or not host:
        raise DownloadError(f"{url} is not fetched: it is no protected (https) address.")


def stated_size(text: str | None) -> int | None:
    """A number of bytes in a header; None for what is none, or has more digits than any file's size."""
    return int(text) if text and re.fullmatch(r"[0-9]{1,18}", text) else None


def open_address(url: str, headers: Mapping[str, str], timeout_s: float, unprotected: bool = False) -> Any:
    """The answer of a server, its body unread: an `http.client.HTTPResponse`, status 200 or 206, or 416 as an error.

    url: https, or http with `unprotected`. The proxy is the one of the environment (https_proxy, no_proxy) or of the
    system. Raises DownloadError for what will not change, Interrupted for what may.
    """
    check_address(url, unprotected)
    opener = urllib.request.OpenerDirector()
    context = ssl.create_default_context()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=context),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    request = urllib.request.Request(url, headers={"User-Agent": AGENT, "Accept-Encoding": "identity", **headers})
    try:
        return opener.open(request, timeout=timeout_s)
    except urllib.error.HTTPError as error:
        with error:
            _explain(url, error)
            raise
    except urllib.error.URLError as error:
        raise _unreachable(url, error.reason) from error
    except DownloadError:
        raise
    except (ValueError, http.client.InvalidURL) as error:
        # what urllib raises for an address that it cannot take apart, before it asks for it
        raise DownloadError(f"{url}: the server leads on to what is no address: {error}") from error
    except (OSError, http.client.HTTPException) as error:
        raise Interrupted(f"{error!r}") from error


def _explain(url: str, error: urllib.error.HTTPError) -> None:
    if error.code == 416:
        return
    text = f"answered {error.code} {error.reason}"
    if error.code in _PASSING:
        raise Interrupted(text) from error
    raise DownloadError(f"{url}: {text}: {_EXPLAINED.get(error.code, 'which is no file')}") from error


def _unreachable(url: str, reason: object) -> Exception:
    host = urllib.parse.urlsplit(url).hostname
    if isinstance(reason, ssl.SSLCertVerificationError):
        return DownloadError(
            f"{url}: the certificate of {host} is not trusted here ({reason.verify_message}). A proxy that reads "
            "along needs its certificate in SSL_CERT_FILE."
        )
    if isinstance(reason, socket.gaierror):
        return DownloadError(f"{url}: the name {host} is not known: there is no network{_through_proxy()}.")
    if isinstance(reason, (TimeoutError, ConnectionError)) and not isinstance(reason, ConnectionRefusedError):
        return Interrupted(f"no connection to {host}{_through_proxy()}: {reason}")
    return DownloadError(f"{url}: no connection to {host}{_through_proxy()}: {reason}")


def _through_proxy() -> str:
    proxies = urllib.request.getproxies()
    if not proxies:
        return ""
    # names and passwords in a proxy's address are nobody else's business
    hosts = sorted({urllib.parse.urlsplit(value).netloc.rpartition("@")[2] or value for value in proxies.values()})
    return f" (through the proxy {', '.join(hosts)})"
