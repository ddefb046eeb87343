"""EVE-NG's HTTP: one session a user, JSend replies, and what may be asked twice.

A reply is `{"code": 200, "status": "success", "message": "…", "data": …}`; `code` and the HTTP status may differ, `status` decides.
Community and Pro keep one session a user: a login elsewhere ends ours, and every request is refused from then on with 400, 401, 412
(status "unauthorized"), or by Pro with a bare 400 "Request not valid (60027)". The session is then opened again, once a request.

What reads may be asked as often as need be. What acts (a start is a GET, too) is never repeated on suspicion: where no clear answer
came, `done` looks whether it happened, and only where it did not is it asked once more.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from harness.errors import LabError, MissingTool, UsageError
from harness.model.secret import Secret

if TYPE_CHECKING:
    import requests

COOKIE = "unetlab_session"
NATIVE_CONSOLE = "-1"
"""`html5` at login: node URLs are then telnet://host:port, and not pages of the browser's console. Pro needs the field."""
READ_TRIES = 3
ACT_TRIES = 2
PAUSE_S = 2.0
TAKEOVERS, TAKEOVER_WINDOW_S = 3, 60.0
"""So many sessions lost within so many seconds are no time-out: somebody else works as the same user."""
SESSION_OVER, NOT_VALID = "(90001)", "(60027)"
"""EVE-NG's own numbers of messages, which stand at their end."""


class EveNgError(LabError):
    """Anything that EVE-NG answered or did not answer."""


class Gone(EveNgError):
    """No answer came, or none that is EVE-NG's: nobody can say whether the request was carried out."""


class Refused(EveNgError):
    """A clear no, with EVE-NG's own words. `code` is HTTP's."""

    def __init__(self, step: str, code: int, message: str, cure: str | None = None) -> None:
        super().__init__(step, f"EVE-NG answered {code}: {message}", cure)
        self.code = code
        self.message = message


class SessionTaken(EveNgError):
    """The session was ended by another login of the same user, and opening it again did not help."""


class Reply(NamedTuple):
    code: int
    status: str
    message: str
    data: Any

    @property
    def ok(self) -> bool:
        return self.status == "success" and self.code < 400

    @property
    def session_over(self) -> bool:
        """Whether the session no longer counts, as documented (400, 401, 412) or as Pro does it (a bare 400)."""
        if self.status == "forbidden":  # the user's role, unless it says otherwise
            return SESSION_OVER in self.message
        return self.status == "unauthorized" or self.code in (401, 412) or (self.code == 400 and NOT_VALID in self.message)


class Session:
    """One user's session at one server. Opened by the first request.

    `server` is "https://eve.example" (http for Community). `verify`: True, False, or the file of the CA that the certificate is of.
    """

    def __init__(
        self,
        server: str,
        username: str,
        password: Secret,
        *,
        verify: bool | str = True,
        timeout_s: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.server = server_url(server)
        self.username = username
        self._password = password
        self._verify = _readable(verify)
        self._timeout_s = timeout_s
        self._clock = clock
        self._sleep = sleep
        self._http: requests.Session | None = None
        self._cookie: str | None = None
        self._lost: list[float] = []

    @property
    def host(self) -> str:
        return urlsplit(self.server).hostname or ""

    def read(self, path: str, step: str) -> Any:
        """The `data` of GET `path`, asked again where the answer got lost or the session had ended. Raises Gone, Refused,
        SessionTaken."""
        reopened = False
        for left in reversed(range(READ_TRIES)):
            try:
                reply = self._ask("GET", path, step)
            except Gone:
                if left == 0:
                    raise
                self._sleep(PAUSE_S)
                continue
            if reply.ok:
                return reply.data
            if not reply.session_over or left == 0 or reopened:
                raise self._no(reply, step)
            self._reopen(step)
            reopened = True
        raise AssertionError("unreachable: the last try returns or raises")

    def act(self, method: str, path: str, step: str, done: Callable[[], bool], body: object = None) -> None:
        """Asks for a change. `done` reads whether it has happened; see the module's head. Raises as `read` does."""
        for left in reversed(range(ACT_TRIES)):
            doubt: LabError
            try:
                reply = self._ask(method, path, step, body)
            except Gone as lost:
                doubt = lost
            else:
                if reply.ok:
                    return
                doubt = self._no(reply, step)
                if not reply.session_over:
                    raise doubt
                if left == 0:
                    raise doubt
                self._reopen(step)
            if done():
                return
            if left == 0:
                raise doubt
            self._sleep(PAUSE_S)

    def close(self) -> None:
        """Ends the session, if one is open. What goes wrong here hurts nobody: the session times out."""
        if self._http is None:
            return
        try:
            if self._cookie is not None:
                self._send("GET", "/auth/logout", "log out of EVE-NG")
        except LabError:
            pass
        finally:
            self._http.close()
            self._http = self._cookie = None

    def _ask(self, method: str, path: str, step: str, body: object = None) -> Reply:
        if self._cookie is None:
            self._open()
        return self._send(method, path, step, body)

    def _open(self) -> None:
        step = f"log in to EVE-NG at {self.server} as {self.username}"
        body = {"username": self.username, "password": self._password.reveal(), "html5": NATIVE_CONSOLE}
        reply = self._send("POST", "/auth/login", step, body)
        if not reply.ok:
            raise Refused(step, reply.code, self._plain(reply.message), "the testbed's user name and password of the lab's server")
        if self._cookie is None:
            raise Gone(step, f"the login was accepted, but no cookie {COOKIE} came with it", "is a proxy in between?")

    def _reopen(self, step: str) -> None:
        """After a session was lost. A login always succeeds, and throws out whoever took ours over: not for ever."""
        self._cookie = None
        now = self._clock()
        self._lost = [at for at in self._lost if now - at < TAKEOVER_WINDOW_S] + [now]
        if len(self._lost) > TAKEOVERS:
            self._lost = []
            raise self._taken(step)
        self._open()

    def _no(self, reply: Reply, step: str) -> EveNgError:
        if reply.session_over and not (reply.code == 400 and NOT_VALID in reply.message):
            return self._taken(step)
        cure = None
        if reply.status == "forbidden":
            cure = f"a user of EVE-NG whose role allows it (not {self.username})"
        return Refused(step, reply.code, self._plain(reply.message), cure)

    def _taken(self, step: str) -> SessionTaken:
        return SessionTaken(
            step,
            f"EVE-NG ended the session of {self.username} again: another login with that user name takes it over",
            "a user of its own for natstorm (EVE-NG keeps one session a user), or close the other browser or script",
        )

    def _send(self, method: str, path: str, step: str, body: object = None) -> Reply:
        """One request, one answer. Raises Gone where none came, LabError where the server is not to be talked to at all."""
        requests = _requests()
        if self._http is None:
            self._http = self._connect()
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if self._cookie is not None:
            headers["Cookie"] = f"{COOKIE}={self._cookie}"
        try:
            with warnings.catch_warnings():
                if self._verify is False:  # which the testbed asked for, in so many words
                    warnings.simplefilter("ignore")
                answer = self._http.request(
                    method, f"{self.server}/api{path}", data=None if body is None else json.dumps(body), headers=headers,
                    timeout=self._timeout_s, verify=self._verify, allow_redirects=False,
                )  # fmt: skip
        except requests.exceptions.SSLError as error:
            raise _tls(self.server, step, error) from None
        except OSError as error:  # which requests' own are
            # the error itself may quote the request
            raise Gone(step, f"{self.server} does not answer ({_kind(error)})", "is EVE-NG up, and reachable from here?") from None
        if answer.is_redirect:
            to = answer.headers.get("Location", "")
            raise EveNgError(step, f"{self.server} sends us on to {to}", "name the server as https://…: EVE-NG Pro needs it")
        if method == "POST" and path == "/auth/login" and answer.ok:
            self._cookie = _cookie(answer)
        return _reply(answer, step, self.host)

    def _connect(self) -> requests.Session:
        http: requests.Session = _requests().Session()
        http.trust_env = False  # no proxy or ~/.netrc of the environment comes between the testbed and its server
        return http

    def _plain(self, message: str) -> str:
        return message.replace(self._password.reveal(), "***") if self._password.reveal() else message


def server_url(text: str) -> str:
    """`text` without what follows the host and port; UsageError where it is not http or https."""
    parts = urlsplit(text)
    try:
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None and parts.port != 0
    except ValueError:  # a port that is no number
        fine = False
    if not fine:
        shown = text.split("@")[-1]  # whatever stands before it may be a password
        raise UsageError(f"{shown!r} is no EVE-NG server", cure="https://HOST (Pro) or http://HOST (Community)")
    return f"{parts.scheme}://{parts.netloc}"


def _readable(verify: bool | str) -> bool | str:
    """`verify`; UsageError where it is a file that no certificate can be read from."""
    if isinstance(verify, str):
        import ssl  # here: a command that has nothing to do with EVE-NG need not be able to load it

        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(verify)
        except OSError as error:
            why = error.strerror if not isinstance(error, ssl.SSLError) else "no certificate in it"
            raise UsageError(f"the CA file {verify} of EVE-NG: {why}", cure="a PEM file with the CA's certificate") from None
    return verify


def _requests() -> Any:
    try:
        import requests
    except ImportError:
        raise MissingTool("load requests", "the Python package is not installed", "pip install 'natstorm[lab]'") from None
    return requests


def _kind(error: Exception) -> str:
    name = type(error).__name__
    return {"ConnectTimeout": "no connection in time", "ReadTimeout": "no answer in time"}.get(name, "connection refused or lost")


def _tls(server: str, step: str, error: Exception) -> EveNgError:
    said = str(error).upper()
    if "CERTIFICATE_VERIFY_FAILED" in said:
        return EveNgError(
            step, f"the certificate of {server} is not trusted (EVE-NG Pro comes with a self-signed one)",
            "lab: verify: FILE in the testbed, with its CA or itself (PEM); or verify: false, on a network of your own",
        )  # fmt: skip
    if "WRONG_VERSION" in said or "RECORD_LAYER" in said:
        return EveNgError(step, f"{server} does not speak TLS", "http://HOST for Community without a certificate")
    return Gone(step, f"{server} does not answer (TLS broke off)", "is EVE-NG up, and reachable from here?")


def _cookie(answer: requests.Response) -> str | None:
    """By hand: the jar of requests drops a cookie whose Domain is a bare host name, as EVE-NG's may be, and http.cookies one whose
    date ends in "UTC", as EVE-NG's does."""
    raw = answer.raw
    lines = raw.headers.getlist("Set-Cookie") if raw is not None and hasattr(raw.headers, "getlist") else []
    for line in lines:
        name, _, value = line.partition(";")[0].partition("=")
        if name.strip() == COOKIE and value.strip():
            return str(value.strip())
    return None


def _reply(answer: requests.Response, step: str, host: str) -> Reply:
    try:
        body = json.loads(answer.content)
    except ValueError:
        body = None
    if not isinstance(body, dict) or not isinstance(body.get("status"), str):
        cure = "is that EVE-NG's address, and nothing else's?"
        if answer.status_code >= 500:  # PHP's own page; known after a request that was cut off
            cure = f"ssh root@{host} \"find /opt/unetlab/labs -name '*.lock'\" (a lock left behind keeps a lab from being opened)"
        raise Gone(step, f"it answered {answer.status_code} with something that is not EVE-NG's JSON", cure)
    if answer.status_code >= 500:
        said = str(body.get("message"))[:200]
        raise Gone(step, f"EVE-NG answered {answer.status_code}: {said}", "its web page shows more: System, System logs")
    return Reply(answer.status_code, body["status"], str(body.get("message", ""))[:300], body.get("data"))
