"""What the tests of the EVE-NG provider share: a clock that sleeping moves, settings, and how a test may break a server."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import requests
from eve_ng_fake import LAB, PASSWORD, USER, FakeEveNg
from requests.adapters import BaseAdapter
from urllib3 import HTTPResponse

from harness.lab.providers.eve_ng import EveNg, EveNgSpec
from harness.model.secret import Secret


class Time:
    """Nobody waits: sleeping moves the clock."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept = 0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept += 1
        self.now += seconds
        assert self.slept < 5000, "it waits without bound"


def spec(fake: FakeEveNg, **changes: Any) -> EveNgSpec:
    plain = EveNgSpec(fake.url, LAB, USER, Secret(PASSWORD), start=("NAT", "gateway", "host"), request_timeout_s=30)
    return replace(plain, **changes)


def provider(fake: FakeEveNg, folder: Path, *, time: Time | None = None, host: bool = True, **changes: Any) -> EveNg:
    """As a new process would have it: all that it knows of earlier ones is in `folder`."""
    time = time or Time()
    on_host = fake.on_host if host else None
    return EveNg(spec(fake, **changes), folder, on_host=on_host, clock=time.clock, sleep=time.sleep)


class _Direct(BaseAdapter):
    """Hands requests to the fake without a socket, for tests that play a whole life hundreds of times."""

    def __init__(self, fake: FakeEveNg) -> None:
        super().__init__()
        self.fake = fake

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        cookie = re.search(r"unetlab_session=([^;]+)", request.headers.get("Cookie", ""))
        body = json.loads(request.body) if request.body else None
        becomes, code, reply, fresh = self.fake.answer(str(request.method), request.path_url, body, cookie and cookie[1])
        if becomes == "cut":
            raise requests.ConnectionError
        text = b"<html/>" if reply is None else json.dumps(reply).encode()
        answer = requests.Response()
        answer.status_code, answer._content, answer.request = code, text, request
        answer.raw = HTTPResponse(headers={"Set-Cookie": f"unetlab_session={fresh}; path=/api/"} if fresh else {})
        return answer

    def close(self) -> None:
        pass


def quick(fake: FakeEveNg) -> FakeEveNg:
    fake.polls = 0
    fake.url = "http://eve"
    return fake


def in_memory(fake: FakeEveNg, folder: Path) -> EveNg:
    lab = provider(fake, folder, start=("NAT", "gateway"), stop_timeout_s=20)
    session = lab._api.session

    def connect() -> requests.Session:
        http = requests.Session()
        http.trust_env = False  # there is no network, so no proxy to look for
        http.mount(fake.url, _Direct(fake))
        return http

    session._connect = connect  # type: ignore[method-assign]
    return lab


def forbidden(fake: FakeEveNg) -> list[tuple[str, str, Any]]:
    """What may never be sent: anything that deletes, wipes, makes or edits, and any word to a node that is not ours."""
    edits = r"^DELETE |^POST (?!/api/auth/login)|^PUT (?!.*/interfaces$)|wipe|export"
    return fake.asked(edits + r"|nodes/4/(start|stop)|nodes/(start|stop)")
