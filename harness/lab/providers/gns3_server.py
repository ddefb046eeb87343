"""A GNS3 server over HTTP: which version it is, who we are there, and what it says when it refuses.

API v2 (server 2.2): HTTP Basic, where the server wants any. API v3 (server 3): POST /v3/access/users/authenticate gives a bearer
token; when that has expired, one more is asked for, once a request. The environment's proxies and ~/.netrc are not asked: a lab's
server is near, and netrc would put its own word in the place of the token.
"""

from __future__ import annotations

import re
import socket
import threading
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Any
from urllib.parse import urlsplit

from harness.errors import CaptureError, LabError, UsageError
from harness.model.secret import Secret

Json = dict[str, Any]

PORT = 3080
CONNECT_S, ANSWER_S = 10.0, 180.0
"""How long a connection may take, and an answer: a node's start answers when it has started."""
_SHOWN = 300


@dataclass(frozen=True, slots=True)
class Api:
    """What differs from one API to the other."""

    prefix: str
    versions: str  # a regular expression
    capture_start: str
    capture_stop: str
    capture_stream: str


V2 = Api("/v2", r"2\.2(\D.*)?", "start_capture", "stop_capture", "pcap")
V3 = Api("/v3", r"3\..*", "capture/start", "capture/stop", "capture/stream")
SPOKEN = "2.2 and 3"


class ServerGone(LabError):
    """The server cannot be reached, or no longer."""


class Refused(LabError):
    """The server answered with an error. `status` is HTTP's."""

    def __init__(self, step: str, seen: str, cure: str | None, status: int) -> None:
        super().__init__(step, seen, cure)
        self.status = status


class Server:
    """One server. `connect` finds out which API it speaks; everything else may be called after that. Each call raises ServerGone,
    Refused, or LabError where the answer is not GNS3's."""

    def __init__(self, url: str, user: str = "", password: Secret | None = None, ca_file: str | None = None) -> None:
        import requests

        self.url = server_url(url)
        self.user = user
        self.version = ""
        self.api = V3
        self._password = password
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["Connection"] = "close"
        self._session.verify = ca_file or True
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _alive_adapter())

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    def connect(self) -> None:
        """Raises LabError naming what was seen, where it is no GNS3 server of a known version."""
        step = f"ask {self.url} for its version"
        seen = []
        for api in (V3, V2):
            answer = self._send("GET", f"{api.prefix}/version", step)
            if answer.status_code == 401 and api is V2 and self._as_basic():
                answer = self._send("GET", f"{api.prefix}/version", step)
            if answer.status_code == 401:
                raise self._unauthorised(step)
            found = _version(answer)
            if found is not None and re.fullmatch(api.versions, found):
                self.version, self.api = found, api
                if api is V3:
                    self._log_in()
                return
            kind = f", version {found!r}" if found else f" ({answer.headers.get('Server', 'no Server header')})"
            seen.append(f"{api.prefix}/version: status {answer.status_code}{kind}")
        cure = f"natstorm speaks to GNS3 servers of versions {SPOKEN}: is that one, at that address?"
        raise LabError(step, "; ".join(seen), cure)

    def request(
        self,
        method: str,
        path: str,
        step: str,
        *,
        json: Json | None = None,
        params: Mapping[str, str] | None = None,
        data: IO[bytes] | None = None,
    ) -> Any:
        """The answer's JSON; None where it has no body. `path` begins below the API's prefix; `step` names the act in errors."""
        answer = self._authorised(method, path, step, json=json, params=params, data=data)
        if answer.status_code == 204 or not answer.content:
            return None
        try:
            return answer.json()
        except ValueError as error:
            seen = f"{self.url} answered {self._shown(answer.text)!r}, which is not JSON"
            raise LabError(step, seen, "is it a GNS3 server?") from error

    @contextmanager
    def stream(self, path: str, step: str) -> Iterator[Iterator[bytes]]:
        """A body in pieces, as they come. Leaving the context ends it, also for another thread that waits for the next piece. The
        pieces raise CaptureError where the server ends it too early."""
        answer = self._authorised("GET", path, step, stream=True)
        ended = threading.Event()
        try:
            yield self._pieces(answer, step, ended)
        finally:
            ended.set()
            # Closing would wait for that thread, which waits for the server: it is woken first.
            with suppress(OSError, ValueError, RuntimeError):
                answer.raw.shutdown()
            answer.close()

    def _pieces(self, answer: Any, step: str, ended: threading.Event) -> Iterator[bytes]:
        import requests

        try:
            yield from (piece for piece in answer.iter_content(None) if piece)
        except (requests.RequestException, OSError, ValueError, AttributeError) as error:
            if not ended.is_set():
                raise CaptureError(f"{step}: {self.url} broke it off: {_reason(error)}") from error

    def _authorised(self, method: str, path: str, step: str, **options: Any) -> Any:
        answer = self._send(method, self.api.prefix + path, step, **options)
        if answer.status_code == 401 and self.api is V3:  # the token has expired, or the server has forgotten it
            answer.close()
            self._log_in()
            if options.get("data") is not None:
                options["data"].seek(0)
            answer = self._send(method, self.api.prefix + path, step, **options)
        if answer.status_code == 401:
            raise self._unauthorised(step)
        if not 200 <= answer.status_code < 300:
            raise Refused(step, f"{self.url} said: {self._said(answer)}", None, answer.status_code)
        return answer

    def _send(self, method: str, path: str, step: str, stream: bool = False, **options: Any) -> Any:
        import requests

        waits = (CONNECT_S, None if stream else ANSWER_S)
        try:
            answer = self._session.request(
                method, self.url + path, timeout=waits, allow_redirects=False, stream=stream, **options
            )
        except requests.RequestException as error:
            raise ServerGone(step, f"{self.url} is not there: {_reason(error)}", "is the server up, and in reach?") from error
        if not stream:
            # No connection is kept: the server may close one just as the next request goes out, and was that then carried out?
            self._session.close()
        return answer

    # --- who we are ---

    def _as_basic(self) -> bool:
        if not self.user:
            return False
        word = b64encode(f"{self.user}:{self._reveal()}".encode()).decode()
        self._session.headers["Authorization"] = f"Basic {word}"
        return True

    def _log_in(self) -> None:
        step = f"log in at {self.url}"
        if not self.user:
            raise self._unauthorised(step)
        self._session.headers.pop("Authorization", None)
        credentials = {"username": self.user, "password": self._reveal()}
        answer = self._send("POST", f"{V3.prefix}/access/users/authenticate", step, json=credentials)
        if answer.status_code == 401:
            raise self._unauthorised(step)
        try:
            token = answer.json()["access_token"]
        except (ValueError, KeyError, TypeError) as error:
            # What it said is not shown: it may well repeat the password.
            raise LabError(step, f"status {answer.status_code}, and no token", "look into the server's log") from error
        self._session.headers["Authorization"] = f"Bearer {token}"

    def _reveal(self) -> str:
        return self._password.reveal() if self._password is not None else ""

    def _unauthorised(self, step: str) -> LabError:
        if not self.user:
            return LabError(step, f"{self.url} wants to know who asks", "name a user, and give the password")
        return LabError(step, f"{self.url} does not let user {self.user!r} in", "is that the user's password there?")

    def _said(self, answer: Any) -> str:
        try:
            found = answer.json()
            text = str(found.get("message") or found.get("detail") or found)
        except (ValueError, AttributeError):
            text = answer.text or answer.headers.get("Location", "nothing")
        return f"{self._shown(text)} (status {answer.status_code})"

    def _shown(self, text: str) -> str:
        """One line, not endless, and without the password, which a server may repeat with the request."""
        secret = self._reveal()
        line = " ".join((text.replace(secret, "***") if secret else text).split())
        return line if len(line) <= _SHOWN else line[:_SHOWN] + " …"


def server_url(text: str) -> str:
    """`http[s]://HOST:PORT`, the port GNS3's own where there is none. UsageError for what is not that, and for a user in it: what
    stands in a URL ends up in logs."""
    given = text if "://" in text else f"http://{text}"
    parts = urlsplit(given)
    try:
        port = parts.port or PORT
    except ValueError as error:
        raise UsageError(f"{_without_user(text)!r} has no port that there can be", cure="as in http://gns3.example:3080") from error
    if parts.username is not None or parts.password is not None:
        problem = f"{_without_user(text)!r} has a user before the @"
        raise UsageError(problem, cure="name user and password apart from the address: addresses end up in logs")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment:
        raise UsageError(f"{text!r} is not a server's address", cure="as in http://gns3.example:3080")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{port}"


def _without_user(text: str) -> str:
    return re.sub(r"[^/]*@", "…@", text)


def _version(answer: Any) -> str | None:
    try:
        found = answer.json()
    except ValueError:
        return None
    version = found.get("version") if isinstance(found, dict) and answer.status_code == 200 else None
    return version if isinstance(version, str) else None


def _reason(error: BaseException) -> str:
    """The innermost reason: the outer ones repeat each other around it."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return str(error) or type(error).__name__


def _alive_adapter() -> Any:
    """A capture may be silent for hours: only the kernel's keepalive tells that from a server that has vanished."""
    from requests.adapters import HTTPAdapter
    from urllib3.connection import HTTPConnection

    probes = (
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15),
        (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
        (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 6),
    )

    class Alive(HTTPAdapter):
        def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
            super().init_poolmanager(*arguments, socket_options=[*HTTPConnection.default_socket_options, *probes], **options)

    return Alive()
