"""PAP, MS-CHAPv1, a list of methods, more attempts: RFC 1334, RFC 2433's own example, and whole links in both roles."""

from __future__ import annotations

import random
from typing import Any

import pytest
from Crypto.Cipher import DES
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import ProtocolError
from harness.wire import events
from harness.wire.config import PppConfig
from harness.wire.machine import Machine
from harness.wire.ppp import PppCore, frame, mschap, pap
from harness.wire.ppp.chap import Chap
from harness.wire.ppp.packet import Code, Packet, build, parse
from harness.wire.ppp.pap import Event, Pap, State

LCP, PAP, CHAP = 0xC021, 0xC023, 0xC223

# RFC 2433 Appendix B.1: user and password given, every value worked out.
CHALLENGE = bytes.fromhex("102DB5DF085D3041")
NT_RESPONSE = bytes.fromhex("4E9D3C8F9CFD385D5BF4D3246791956CA4C351AB409A3D61")


def test_rfc_2433_password_hash() -> None:
    assert mschap.nt_password_hash("MyPw") == bytes.fromhex("FC156AF7EDCD6C0EDDE3337D427F4EAC")


def test_rfc_2433_nt_response() -> None:
    assert mschap.v1_response(CHALLENGE, mschap.nt_password_hash("MyPw")) == NT_RESPONSE


def test_lan_managers_hash() -> None:
    """A.2, A.3 by hand: each half of the capitals is a DES key with parity bits put in between; and the hash of no password, which
    the field knows by heart."""
    keys = []
    for half in ("CLIENTP", "ASS\0\0\0\0"):
        bits = "".join(f"{ord(letter):08b}" for letter in half)
        keys.append(bytes(int(bits[start : start + 7] + "0", 2) for start in range(0, 56, 7)))
    by_hand = b"".join(DES.new(key, DES.MODE_ECB).encrypt(b"KGS!@#$%") for key in keys)
    assert mschap.lm_password_hash("clientPass") == by_hand
    assert mschap.lm_password_hash("") == bytes.fromhex("AAD3B435B51404EEAAD3B435B51404EE")


def test_the_response_of_rfc_2433_on_the_wire() -> None:
    """§5: value size 49, LM response (zeros where it is not used), NT response, 1 to use it, name."""
    frames: list[bytes] = []
    peer = Chap(PppConfig("User", "MyPw"), "mschapv1", bytes, frames.append)
    peer.open_peer(0.0)
    peer.receive(0.0, build(Packet(1, 9, b"\x08" + CHALLENGE + b"lns")))
    assert parse("chap", frames[0]) == Packet(2, 9, b"\x31" + bytes(24) + NT_RESPONSE + b"\x01" + b"User")


@pytest.mark.parametrize(("flag", "good"), [(1, False), (0, True)])
def test_a_lan_manager_response_counts_only_if_it_says_so(flag: int, good: bool) -> None:
    frames: list[bytes] = []
    core = Chap(PppConfig("", "", secrets={"User": "MyPw"}), "mschapv1", lambda count: CHALLENGE[:count], frames.append)
    core.open_authenticator(0.0)
    challenge = parse("chap", frames[0])
    assert challenge.data[:9] == b"\x08" + CHALLENGE
    value = mschap.v1_response(CHALLENGE, mschap.lm_password_hash("MYPW")) + bytes(24) + bytes((flag,))
    core.receive(0.0, build(Packet(2, challenge.identifier, b"\x31" + value + b"User")))
    assert core.outcome is good


def client(**changes: Any) -> PppConfig:
    return PppConfig(**{"user": "user1", "password": "pw1", "accept": ("mschapv2", "mschapv1", "chap-md5", "pap"), **changes})


def server(**changes: Any) -> PppConfig:
    given = {
        "user": "", "password": "", "accept": (), "secrets": {"user1": "pw1"}, "name": "lns", "echo_s": None,
        "local_address": "172.16.1.1", "assign": "172.16.1.10", "request_dns": False,
    }  # fmt: skip
    return PppConfig(**{**given, **changes})


class Line:
    """A client and a server on one line, which may lose frames."""

    def __init__(self, one: PppConfig, other: PppConfig, seed: int = 1, loss: float = 0.0) -> None:
        self.client = PppCore(one, random.Random(seed).randbytes)
        self.server = PppCore(other, random.Random(seed + 99).randbytes)
        self.told: list[events.Event] = []
        self.server_told: list[events.Event] = []
        self.frames: list[tuple[int, bytes]] = []  # all, both ways: protocol, information
        self._chance, self._loss = random.Random(seed), loss

    def run(self, seconds: float = 0.0) -> Line:
        self.client.open(0.0)
        self.server.open(0.0)
        now = 0.0
        while now <= seconds:
            self._settle(now)
            now += 1.0
            self.client.tick(now)
            self.server.tick(now)
        return self

    def _settle(self, now: float) -> None:
        for _ in range(100):
            there, back = self.client.take_frames(), self.server.take_frames()
            self.told += self.client.take_events()
            self.server_told += self.server.take_events()
            if not there and not back:
                return
            for core, data in [(self.server, one) for one in there] + [(self.client, one) for one in back]:
                self.frames.append(frame.parse(data))
                if self._chance.random() >= self._loss:
                    core.receive(now, data)
        raise AssertionError("the two never fall quiet")

    def said(self, kind: type[events.Event], *, by_server: bool = False) -> Any:
        return next(event for event in (self.server_told if by_server else self.told) if isinstance(event, kind))


METHODS = ["pap", "chap-md5", "mschapv1", "mschapv2"]


@pytest.mark.parametrize("method", METHODS)
def test_both_roles_of_every_method(method: str) -> None:
    line = Line(client(), server(demand=method)).run()
    assert line.told[0] == events.LcpUp(1400, method)
    assert line.said(events.Authenticated) == events.Authenticated(method, "Access granted")
    assert line.said(events.Authenticated, by_server=True) == events.Authenticated(method, "user1", "user1", "authenticator")
    assert line.said(events.PppUp, by_server=True).user == "user1"
    assert line.said(events.PppUp).user == ""
    assert line.server.user == "user1"


@pytest.mark.parametrize("method", METHODS)
def test_two_ends_may_both_ask(method: str) -> None:
    secrets = {"user1": "pw1", "gateway": "pw2"}
    both = server(demand=method, secrets=secrets, user="gateway", password="pw2", accept=tuple(METHODS))
    line = Line(client(demand="pap", secrets=secrets), both).run()
    assert line.said(events.PppUp).user == "gateway"
    assert line.said(events.PppUp, by_server=True).user == "user1"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("changes", [{"password": "wrong"}, {"user": "nobody"}])
def test_the_wrong_secret_in_every_method(method: str, changes: dict[str, str]) -> None:
    line = Line(client(**changes), server(demand=method)).run(10)
    failed = line.said(events.Failed)
    assert (failed.stage, failed.facts["by"]) == ("PPP authentication", "gateway")
    assert failed.reason == {
        "pap": "PAP failure: Access denied",
        "chap-md5": "CHAP-MD5 failure: Access denied",
        "mschapv1": "MS-CHAPv1 failure E=691 (wrong user name or password)",
        "mschapv2": "MS-CHAPv2 failure E=691 (wrong user name or password)",
    }[method]
    theirs = line.said(events.Failed, by_server=True)
    assert theirs.reason == ("wrong password for user1" if "password" in changes else "unknown user nobody")
    assert not [event for event in line.server_told if isinstance(event, events.Authenticated)]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("seed", range(4))
def test_a_fifth_of_all_frames_may_be_lost(method: str, seed: int) -> None:
    line = Line(client(echo_s=None), server(demand=method), seed, 0.2).run(120)
    assert line.client.address == "172.16.1.10"
    assert line.server.user == "user1"


@pytest.mark.parametrize(
    ("offered", "accepted", "chosen", "naks"),
    [
        (("chap-md5", "mschapv1"), ("chap-md5", "mschapv1"), "chap-md5", 0),
        (("chap-md5", "mschapv1"), ("mschapv1",), "mschapv1", 1),  # "ppp authentication chap ms-chap"
        (("pap", "chap-md5", "mschapv2"), ("mschapv2",), "mschapv2", 1),  # the Nak says which
        (("mschapv2", "mschapv1", "pap"), ("pap", "chap-md5"), "pap", 1),
        (("pap", "mschapv1", "chap-md5"), ("mschapv2", "chap-md5"), "chap-md5", 2),  # what it says is not on the list: next
    ],
)
def test_methods_are_offered_in_order(offered: tuple[str, ...], accepted: tuple[str, ...], chosen: str, naks: int) -> None:
    line = Line(client(accept=accepted), server(demand=offered)).run()
    assert line.told[0] == events.LcpUp(1400, chosen)
    assert line.said(events.Authenticated, by_server=True).method == chosen
    assert sum(protocol == LCP and data[0] == Code.CONFIGURE_NAK for protocol, data in line.frames) == naks


def test_a_peer_that_does_none_of_them_is_refused() -> None:
    line = Line(client(accept=("pap",)), server(demand=("chap-md5", "mschapv1"))).run(60)
    assert "the peer asked for" in line.said(events.Failed).reason
    assert not [event for event in line.server_told if isinstance(event, events.PppUp)]


def test_a_peer_that_rejects_authentication_is_refused() -> None:
    line = Line(client(accept=()), server(demand=("chap-md5", "pap"))).run(10)
    assert line.said(events.Failed, by_server=True).reason == "the peer refuses chap-md5 and pap"


def test_a_domain_is_left_out_unless_it_is_part_of_the_name() -> None:
    for user, good in (("CORP\\user1", True), ("CORP\\user2", True), ("OTHER\\user2", False)):
        line = Line(client(user=user), server(demand="pap", secrets={"user1": "pw1", "CORP\\user2": "pw1"})).run()
        assert (line.server.user == user) is good


# More attempts


@pytest.mark.parametrize("method", ["mschapv1", "mschapv2"])
def test_another_attempt_where_the_gateway_gives_one(method: str) -> None:
    """RFC 2433 §6, RFC 2759 §6: R=1 and a challenge, which the next Response answers under the next identifier."""
    line = Line(client(password="typo", retry_passwords=("pw1",)), server(demand=method, retries=1)).run()
    assert line.client.address == "172.16.1.10"
    chap = [parse("chap", data) for protocol, data in line.frames if protocol == CHAP]
    assert [one.code for one in chap] == [1, 2, 4, 2, 3]
    assert chap[3].identifier == (chap[1].identifier + 1) & 0xFF
    assert chap[2].data.startswith(b"E=691 R=1 C=")
    again = chap[2].data.split(b"C=")[1].split()[0]
    assert bytes.fromhex(again.decode()) != chap[0].data[1 : 1 + chap[0].data[0]]
    assert len(again) == {"mschapv1": 16, "mschapv2": 32}[method]


@pytest.mark.parametrize("method", ["mschapv1", "mschapv2"])
def test_attempts_run_out(method: str) -> None:
    line = Line(client(password="a", retry_passwords=("b", "c", "d")), server(demand=method, retries=2)).run(10)
    failures = [data for protocol, data in line.frames if protocol == CHAP and data[0] == 4]
    assert [b"R=1" in data for data in failures] == [True, True, False]
    assert line.said(events.Failed).facts["retry"] == "0"


def test_pppds_failure_is_understood() -> None:
    """As pppd 2.4.9 logs that it sent it: R=1, though it ends the link at once, and V=0."""
    peer = Chap(PppConfig("User", "typo", retry_passwords=("other",)), "mschapv1", bytes, lambda frame: None)
    peer.open_peer(0.0)
    peer.receive(0.0, build(Packet(1, 9, b"\x08" + CHALLENGE + b"lns")))
    peer.receive(0.0, build(Packet(4, 9, b"E=691 R=1 C=1a81c0cb042e2b58 V=0")))
    assert peer.outcome is None  # there is another password
    peer.receive(0.0, build(Packet(4, 10, b"E=691 R=1 C=1a81c0cb042e2b58 V=0")))
    assert (peer.outcome, peer.message) == (False, "MS-CHAPv1 failure E=691 (wrong user name or password)")


def test_no_further_attempt_is_made_where_none_is_given() -> None:
    line = Line(client(password="typo", retry_passwords=("pw1",)), server(demand="mschapv2")).run(5)
    assert line.said(events.Failed).facts["error"] == "691"


@pytest.mark.parametrize("seed", range(6))
def test_attempts_over_a_line_that_loses_a_fifth(seed: int) -> None:
    config = server(demand="mschapv2", retries=1)
    line = Line(client(password="typo", retry_passwords=("pw1",), echo_s=None), config, seed, 0.2).run(150)
    assert line.client.address == "172.16.1.10"


def test_a_response_that_comes_again_costs_no_attempt() -> None:
    frames: list[bytes] = []
    core = Chap(PppConfig("", "", secrets={"User": "MyPw"}, retries=1), "mschapv1", random.Random(1).randbytes, frames.append)
    core.open_authenticator(0.0)
    wrong = build(Packet(2, parse("chap", frames[0]).identifier, b"\x31" + bytes(48) + b"\x01User"))
    for _ in range(3):
        core.receive(0.0, wrong)
    assert core.outcome is None
    assert len(set(frames[1:])) == 1


# PAP by itself


def test_a_request_on_the_wire() -> None:
    """RFC 1334 §2.2.1."""
    frames: list[bytes] = []
    Pap(PppConfig("User", "secret"), "pap", lambda count: b"\5" * count, frames.append).open_peer(0.0)
    assert frames == [bytes.fromhex("01050010") + b"\x04User" + b"\x06secret"]


@pytest.mark.parametrize("information", ["0105", "01050005ff", "0105000904557365", "01050010045573657206736563", "0405000400", ""])
def test_what_is_no_pap_is_refused_and_changes_nothing(information: str) -> None:
    core = Pap(PppConfig("", "", secrets={"User": "secret"}), "pap", bytes, lambda frame: None)
    core.open_authenticator(0.0)
    with pytest.raises(ProtocolError):
        core.receive(0.0, bytes.fromhex(information))
    assert (core.state, core.outcome) == (State.WAIT_REQUEST, None)


def test_an_answer_to_no_request_of_ours_is_refused() -> None:
    core = Pap(PppConfig("User", "secret"), "pap", lambda count: b"\5" * count, lambda frame: None)
    core.open_peer(0.0)
    with pytest.raises(ProtocolError):
        core.receive(0.0, bytes.fromhex("0206000500"))
    assert core.outcome is None
    core.receive(0.0, bytes.fromhex("02050004"))  # without even the length of a message
    assert core.outcome is True


def test_silence_is_named_in_both_roles() -> None:
    for role, words in (
        (Pap.open_peer, "no answer to 10 transmissions of the Authenticate-Request"),
        (Pap.open_authenticator, "no answer to 10 waits for an Authenticate-Request"),
    ):
        core = Pap(PppConfig("User", "secret"), "pap", bytes, lambda frame: None)
        role(core, 0.0)
        for second in range(40):
            core.tick(float(second))
        assert (core.outcome, core.message, core.ended_by) == (False, words, "silence")


LISTED = {
    State.CLOSED: {Event.OPEN_PEER, Event.OPEN_AUTHENTICATOR},
    State.WAIT_RESULT: {Event.ACK, Event.NAK, Event.TIMEOUT, Event.GIVE_UP},
    State.WAIT_REQUEST: {Event.REQUEST_ASKED, Event.REQUEST_GOOD, Event.REQUEST_BAD, Event.TIMEOUT, Event.GIVE_UP},
    State.WAIT_DECISION: {Event.REQUEST_ASKED, Event.REQUEST_GOOD, Event.REQUEST_BAD},
    State.DONE_PEER: {Event.ACK},
    State.DONE_AUTHENTICATOR: {Event.REQUEST_GOOD, Event.REQUEST_BAD},
    State.FAILED: set(),
}


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("event", list(Event))
def test_every_pair(state: State, event: Event) -> None:
    machine = Machine(pap.TABLE)
    machine.state = state
    if event in LISTED[state] | {Event.CLOSE}:
        machine.fire(event)
    else:
        with pytest.raises(ProtocolError):
            machine.fire(event)
        assert machine.state is state


well_formed = st.builds(Packet, st.integers(0, 6), st.just(0), st.binary(max_size=60)).map(build)


@given(st.lists(st.one_of(st.binary(max_size=70), well_formed)))
def test_any_packets_are_refused_or_taken(packets: list[bytes]) -> None:
    config = PppConfig("user1", "pw1", secrets={"user1": "pw1"}, name="lns", retries=2, retry_passwords=("x", "y"))
    for kind, method in ((Pap, "pap"), (Chap, "mschapv1"), (Chap, "mschapv2"), (Chap, "chap-md5")):
        for role in ("open_peer", "open_authenticator"):
            core = kind(config, method, bytes, lambda frame: None)
            getattr(core, role)(0.0)
            for packet in packets:
                state = core.state
                try:
                    core.receive(0.0, packet)
                except ProtocolError:
                    assert core.state is state


def test_a_method_that_was_not_agreed_is_refused() -> None:
    line = Line(client(), server(demand="chap-md5")).run()
    request = frame.build(PAP, build(Packet(1, 1, b"\x05user1\x03pw1")))
    line.server.receive(1.0, request)
    (refused,) = line.server.take_events()
    assert isinstance(refused, events.Refused)
    assert "not negotiated" in refused.reason
