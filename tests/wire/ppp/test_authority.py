"""An authenticator whose judge takes time: the peer waits, repeats itself, goes away; the decision comes whenever it comes."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from harness.wire import events
from harness.wire.config import PppConfig
from harness.wire.ppp import PppCore, frame
from harness.wire.ppp.authority import Claim, Decision, Passwords
from harness.wire.ppp.packet import Packet, parse
from harness.wire.retransmit import Schedule

METHODS = ["pap", "chap-md5", "mschapv1", "mschapv2"]
CHAP, PAP = 0xC223, 0xC023
ANSWERS = {PAP: 1, CHAP: 2}  # the code of what the peer says


class Slow:
    """Keeps claims until somebody decides. `own` are the passwords that it would judge by."""

    def __init__(self, own: dict[str, str]) -> None:
        self.own = Passwords(own)
        self.claims: list[Claim] = []

    def judge(self, now: float, claim: Claim) -> Decision | None:
        self.claims.append(claim)
        return None

    def made(self, claim: Claim) -> Decision:
        return self.own.judge(0.0, claim)


class Line:
    """A client and a server on one line; the client repeats itself every 3 s."""

    def __init__(self, method: str, *, password: str = "pw1", retries: int = 0, retry: tuple[str, ...] = ()) -> None:
        self.slow = Slow({"user1": "pw1"})
        schedule = Schedule((3.0,) * 4)
        client = PppConfig("user1", password, accept=tuple(METHODS), retry_passwords=retry, schedule=schedule, echo_s=None)
        server = PppConfig(
            "", "", accept=(), demand=method, authority=self.slow, name="lns", echo_s=None, local_address="172.16.1.1",
            assign="172.16.1.10", request_dns=False, retries=retries, schedule=schedule,
        )  # fmt: skip
        self.client = PppCore(client, random.Random(1).randbytes)
        self.server = PppCore(server, random.Random(2).randbytes)
        self.told: list[events.Event] = []
        self.said: list[events.Event] = []
        self.frames: list[tuple[str, int, Packet]] = []
        self.now = 0.0
        self.client.open(0.0)
        self.server.open(0.0)
        self.settle()

    def settle(self) -> None:
        for _ in range(100):
            there, back = self.client.take_frames(), self.server.take_frames()
            self.told += self.client.take_events()
            self.said += self.server.take_events()
            if not there and not back:
                return
            for who, core, data in [("client", self.server, one) for one in there] + [("server", self.client, one) for one in back]:
                protocol, information = frame.parse(data)
                if protocol in (CHAP, PAP):
                    self.frames.append((who, protocol, parse("ppp", information)))
                core.receive(self.now, data)
        raise AssertionError("the two never fall quiet")

    def pass_by(self, seconds: float) -> None:
        for _ in range(int(seconds)):
            self.now += 1.0
            self.client.tick(self.now)
            self.server.tick(self.now)
            self.settle()

    def decide(self, decision: Decision | None = None) -> None:
        claim = self.slow.claims[-1]
        self.server.decide(self.now, claim, decision or self.slow.made(claim))
        self.settle()

    def answers(self) -> int:
        return len([packet for who, protocol, packet in self.frames if who == "client" and packet.code == ANSWERS[protocol]])

    def results(self) -> list[Packet]:
        return [packet for who, _, packet in self.frames if who == "server" and packet.code > 1]

    def of(self, kind: type[events.Event], *, by_server: bool = False) -> list[Any]:
        return [event for event in (self.said if by_server else self.told) if isinstance(event, kind)]


@pytest.mark.parametrize("method", METHODS)
def test_a_decision_that_comes_later(method: str) -> None:
    line = Line(method)
    (claim,) = line.slow.claims
    assert (claim.method, claim.user) == (method, "user1")
    line.pass_by(7)
    assert line.answers() == 3  # repeated, and not asked about again
    assert line.slow.claims == [claim]
    assert line.results() == []
    assert line.of(events.PppUp) == []
    line.decide()
    assert [event.user for event in line.of(events.PppUp, by_server=True)] == ["user1"]
    assert [event.message for event in line.of(events.Authenticated)] == ["Access granted"]


@pytest.mark.parametrize("method", METHODS)
def test_a_no_that_comes_later(method: str) -> None:
    line = Line(method)
    line.pass_by(4)
    line.decide(Decision(False, "user1 is locked out", error="647"))
    assert len(line.results()) == 1
    assert [event.reason for event in line.of(events.Failed, by_server=True)] == ["user1 is locked out"]
    if method.startswith("mschap"):
        assert line.results()[0].data.startswith(b"E=647 R=0 ")
    assert line.of(events.PppUp) == []


def test_a_text_that_the_judge_has_is_the_success() -> None:
    """RADIUS brings MS-CHAPv2's proof; without it the peer does not believe a Success."""
    line = Line("mschapv2")
    made = line.slow.made(line.slow.claims[0])
    line.decide(replace(made, text=made.text[:42]))
    assert line.of(events.PppUp) != []
    other = Line("mschapv2")
    other.decide(Decision(True, "user1"))
    assert other.of(events.PppUp) == []
    assert "does not know the password" in other.of(events.Failed)[0].reason


@pytest.mark.parametrize("method", ["mschapv1", "mschapv2"])
def test_another_attempt_is_another_claim(method: str) -> None:
    line = Line(method, password="typo", retries=1, retry=("pw1",))
    line.decide()
    assert line.results()[0].data.startswith(b"E=691 R=1 ")
    first, second = line.slow.claims
    assert first.challenge != second.challenge
    line.server.decide(line.now, first, Decision(True, "user1"))  # too late for that one
    line.settle()
    assert line.of(events.PppUp) == []
    line.decide()
    assert line.of(events.PppUp) != []


@pytest.mark.parametrize("method", METHODS)
def test_the_peer_gives_up_first(method: str) -> None:
    """The decision then changes nothing, and raises nothing."""
    line = Line(method)
    line.pass_by(20)
    assert line.of(events.Failed) != []
    assert line.server.finished
    line.decide()
    assert line.of(events.PppUp, by_server=True) == []


@pytest.mark.parametrize("method", METHODS)
def test_a_link_that_begins_again_asks_again(method: str) -> None:
    line = Line(method)
    old = line.slow.claims[0]
    line.client = PppCore(PppConfig("user1", "pw1", accept=(method,), echo_s=None), random.Random(9).randbytes)
    line.client.open(line.now)
    line.settle()
    assert len(line.slow.claims) == 2
    line.server.decide(line.now, old, Decision(True, "user1", line.slow.made(old).text))
    line.settle()
    assert line.of(events.PppUp) == []
    line.decide()
    assert line.of(events.PppUp) != []


@pytest.mark.parametrize("method", METHODS)
def test_the_result_again_where_it_was_lost(method: str) -> None:
    line = Line(method)
    claim = line.slow.claims[0]
    line.server.decide(line.now, claim, line.slow.made(claim))
    line.server.take_frames()  # the result, and what IPCP says, are lost
    line.pass_by(4)
    assert len(line.results()) == 1
    assert line.slow.claims == [claim]
    assert [event.message for event in line.of(events.Authenticated)] == ["Access granted"]


def test_of_names_with_a_domain() -> None:
    passwords = Passwords({"user1": "pw1", "LAB\\user2": "pw2"})
    assert [passwords.of(name) for name in ("user1", "LAB\\user1", "LAB\\user2", "user2")] == ["pw1", "pw1", "pw2", None]
    assert passwords.judge(0.0, Claim("pap", "LAB\\user1", 0, b"", b"pw1")).good
    assert not passwords.judge(0.0, Claim("pap", "user1", 0, b"", b"")).good
