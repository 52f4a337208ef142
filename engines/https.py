"""One GET request over HTTPS, redirects followed; plain http only to this machine itself."""

from __future__ import annotations

import http.client
import ssl
import urllib.parse

REDIRECTS = 5
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Broken(Exception):
    """The transfer broke and may be resumed."""


class Refused(Exception):
    """This address will not do; the next may."""


def open_url(url: str, headers: dict[str, str], timeout_s: float) -> http.client.HTTPResponse:
    """The answer to a request, redirects followed; never from https to anything else."""
    secure = False
    for _ in range(REDIRECTS + 1):
        connection, path = _connect(url, timeout_s, secure)
        secure = isinstance(connection, http.client.HTTPSConnection)
        try:
            connection.request("GET", path, None, headers)
            response = connection.getresponse()
        except ssl.SSLCertVerificationError as error:
            connection.close()
            raise Refused(f"the server's certificate is not trusted ({error.verify_message})") from None
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise Broken(f"no answer ({getattr(error, 'strerror', None) or type(error).__name__})") from None
        place = response.headers.get("Location")
        if response.status not in (301, 302, 303, 307, 308) or place is None:
            return response
        connection.close()
        try:
            url = urllib.parse.urljoin(url, place)
        except ValueError:
            raise Refused(f"the server redirects to {place[:100]!r}, which is not sound") from None
    raise Refused(f"more than {REDIRECTS} redirects")


def _connect(url: str, timeout_s: float, secure: bool) -> tuple[http.client.HTTPConnection, str]:
    """A connection, not opened yet, and the path to ask for.

    secure: whether the address came by https, which nothing else may follow.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise Refused(f"the address {url[:100]!r} is not sound") from None
    path = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
    if parts.scheme == "https":
        return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=ssl.create_default_context()), path
    if parts.scheme == "http" and host in LOOPBACK and not secure:
        return http.client.HTTPConnection(host, port, timeout=timeout_s), path
    raise Refused(f"the address {url[:100]!r} is not https")
