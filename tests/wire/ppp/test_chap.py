"""CHAP: published vectors, and both roles against each other."""

from __future__ import annotations

import hashlib
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import ProtocolError
from harness.wire.config import PppConfig
from harness.wire.machine import Machine
from harness.wire.ppp import chap, mschap
from harness.wire.ppp.chap import Chap, Event, State
from harness.wire.ppp.packet import Packet, build, parse

# RFC 2759 §9.2: one whole example, every intermediate value.
USER, PASSWORD = "User", "clientPass"
CHALLENGE = bytes.fromhex("5B5D7C7D7B3F2F3E3C2C602132262628")
PEER_CHALLENGE = bytes.fromhex("21402324255E262A28295F2B3A337C7E")
NT_RESPONSE = bytes.fromhex("82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF")
PROOF = "S=407A5589115FD0D6209F510FE9C04566932CDA56"


def test_rfc_2759_challenge_hash() -> None:
    assert mschap.challenge_hash(PEER_CHALLENGE, CHALLENGE, USER) == bytes.fromhex("D02E4386BCE91226")


def test_rfc_2759_password_hash() -> None:
    assert mschap.nt_password_hash(PASSWORD) == bytes.fromhex("44EBBA8D5312B8D611474411F56989AE")


def test_rfc_2759_nt_response() -> None:
    assert mschap.nt_response(CHALLENGE, PEER_CHALLENGE, USER, PASSWORD) == NT_RESPONSE


def test_rfc_2759_authenticator_response() -> None:
    assert mschap.authenticator_response(PASSWORD, NT_RESPONSE, PEER_CHALLENGE, CHALLENGE, USER) == PROOF


def test_a_domain_does_not_enter_the_hash() -> None:
    """RFC 2759 §8.2: "the user name without the domain"."""
    assert mschap.nt_response(CHALLENGE, PEER_CHALLENGE, "DOMAIN\\User", PASSWORD) == NT_RESPONSE


def test_chap_md5_is_the_hash_of_identifier_secret_and_challenge() -> None:
    """RFC 1994 §4.1 gives no example; the definition is applied by hand."""
    assert mschap.chap_md5(7, "pw", b"challenge") == hashlib.md5(b"\x07pwchallenge").digest()


def test_the_response_of_rfc_2759_on_the_wire() -> None:
    """§4: value size 49, peer challenge, 8 zero bytes, NT response, flags 0, name."""
    frames: list[bytes] = []
    peer = Chap(PppConfig(USER, PASSWORD), "mschapv2", lambda count: PEER_CHALLENGE[:count], frames.append)
    peer.open_peer(0.0)
    peer.receive(0.0, build(Packet(1, 9, b"\x10" + CHALLENGE + b"lns")))
    assert parse("chap", frames[0]) == Packet(2, 9, b"\x31" + PEER_CHALLENGE + bytes(8) + NT_RESPONSE + b"\x00" + b"User")
    peer.receive(0.0, build(Packet(3, 9, f"{PROOF} M=Welcome".encode())))
    assert (peer.outcome, peer.message) == (True, "Welcome")


def test_a_success_without_proof_is_a_failure() -> None:
    """RFC 2759 §5: the peer must end the session if the authenticator response is missing or wrong."""
    for text in ("S=" + "0" * 40, "", "M=Welcome", PROOF[:-1]):
        peer = Chap(PppConfig(USER, PASSWORD), "mschapv2", lambda count: PEER_CHALLENGE[:count], lambda frame: None)
        peer.open_peer(0.0)
        peer.receive(0.0, build(Packet(1, 9, b"\x10" + CHALLENGE)))
        peer.receive(0.0, build(Packet(3, 9, text.encode())))
        assert peer.outcome is False
        assert "does not know the password" in peer.message


class Two:
    """A peer and an authenticator, joined."""

    def __init__(self, method: str = "mschapv2", password: str = "pw1", user: str = "user1", seed: int = 3) -> None:
        self.to_peer: list[bytes] = []
        self.to_authenticator: list[bytes] = []
        entropy = random.Random(seed).randbytes
        self.peer = Chap(PppConfig(user, password), method, entropy, self.to_authenticator.append)
        config = PppConfig("", "", secrets={"user1": "pw1"}, name="lns")
        self.authenticator = Chap(config, method, entropy, self.to_peer.append)

    def settle(self, now: float = 0.0) -> None:
        while self.to_peer or self.to_authenticator:
            while self.to_authenticator:
                self.authenticator.receive(now, self.to_authenticator.pop(0))
            while self.to_peer:
                self.peer.receive(now, self.to_peer.pop(0))

    def run(self) -> Two:
        self.peer.open_peer(0.0)
        self.authenticator.open_authenticator(0.0)
        self.settle()
        return self


@pytest.mark.parametrize("method", ["mschapv2", "chap-md5"])
def test_the_right_password_authenticates(method: str) -> None:
    two = Two(method).run()
    assert (two.peer.outcome, two.authenticator.outcome) == (True, True)
    assert (two.peer.message, two.authenticator.message) == ("Access granted", "user1")
    assert two.peer.deadline is None
    assert two.authenticator.deadline is None


@pytest.mark.parametrize(
    ("method", "message"),
    [("mschapv2", "MS-CHAPv2 failure E=691 (wrong user name or password)"), ("chap-md5", "CHAP-MD5 failure: Access denied")],
)
@pytest.mark.parametrize(("user", "password"), [("user1", "wrong"), ("nobody", "pw1")])
def test_the_wrong_password_fails_in_the_words_of_the_field(method: str, message: str, user: str, password: str) -> None:
    two = Two(method, password, user).run()
    assert (two.peer.outcome, two.authenticator.outcome) == (False, False)
    assert two.peer.message == message
    assert two.peer.ended_by == "gateway"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("E=648 R=0 C=00 V=3 M=Password expired", "MS-CHAPv2 failure E=648 (the password has expired)"),
        ("E=999 R=0", "MS-CHAPv2 failure E=999 (E=999 R=0)"),
        ("nonsense", "MS-CHAPv2 failure E= (nonsense)"),
        ("", "MS-CHAPv2 failure E= ()"),
    ],
)
def test_failures_of_any_form(text: str, message: str) -> None:
    peer = Chap(PppConfig(USER, PASSWORD), "mschapv2", lambda count: PEER_CHALLENGE[:count], lambda frame: None)
    peer.open_peer(0.0)
    peer.receive(0.0, build(Packet(1, 9, b"\x10" + CHALLENGE)))
    peer.receive(0.0, build(Packet(4, 9, text.encode())))
    assert (peer.outcome, peer.message) == (False, message)


def test_a_repeated_challenge_gets_the_same_response() -> None:
    two = Two()
    two.peer.open_peer(0.0)
    two.authenticator.open_authenticator(0.0)
    challenge = two.to_peer[0]
    two.peer.receive(0.0, challenge)
    two.peer.receive(1.0, challenge)
    assert two.to_authenticator[0] == two.to_authenticator[1]
    two.settle()
    assert two.peer.outcome is True


def test_a_lost_result_is_asked_for_again() -> None:
    two = Two()
    two.peer.open_peer(0.0)
    two.authenticator.open_authenticator(0.0)
    two.peer.receive(0.0, two.to_peer.pop())
    two.authenticator.receive(0.0, two.to_authenticator.pop())
    two.to_peer.clear()  # the Success is lost
    two.peer.tick(3.0)
    two.settle(3.0)
    assert two.peer.outcome is True


def test_silence_is_named() -> None:
    two = Two()
    two.authenticator.open_authenticator(0.0)
    two.peer.open_peer(0.0)
    two.peer.receive(0.0, two.to_peer.pop())
    for second in range(40):
        two.peer.tick(float(second))
        two.authenticator.tick(float(second))
    assert (two.peer.outcome, two.peer.message) == (False, "no answer to 10 transmissions of the Response")
    assert two.authenticator.message == "no answer to 10 transmissions of the Challenge"
    assert two.peer.ended_by == "silence"


def test_a_challenge_while_the_link_is_up_is_answered() -> None:
    two = Two().run()
    two.peer.receive(9.0, build(Packet(1, 200, b"\x10" + bytes(16) + b"lns")))
    assert parse("chap", two.to_authenticator[0]).identifier == 200
    assert two.peer.state is State.DONE_PEER


LISTED = {
    State.CLOSED: {Event.OPEN_PEER, Event.OPEN_AUTHENTICATOR, Event.TAKE_OVER},
    State.WAIT_CHALLENGE: {Event.CHALLENGE},
    State.WAIT_RESULT: {
        Event.CHALLENGE, Event.SUCCESS, Event.SUCCESS_FORGED, Event.FAILURE, Event.FAILURE_OPEN, Event.TIMEOUT, Event.GIVE_UP,
    },
    State.WAIT_RESPONSE: {
        Event.RESPONSE_ASKED, Event.RESPONSE_GOOD, Event.RESPONSE_BAD, Event.RESPONSE_MISSED, Event.RESPONSE_REPEATED,
        Event.TIMEOUT, Event.GIVE_UP,
    },
    State.WAIT_DECISION: {Event.RESPONSE_GOOD, Event.RESPONSE_BAD, Event.RESPONSE_MISSED, Event.RESPONSE_REPEATED},
    State.DONE_PEER: {Event.CHALLENGE, Event.SUCCESS, Event.SUCCESS_FORGED, Event.FAILURE, Event.TIMEOUT, Event.GIVE_UP},
    State.DONE_AUTHENTICATOR: {Event.RESPONSE_GOOD, Event.RESPONSE_BAD},
    State.FAILED: set(),
}  # fmt: skip


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("event", list(Event))
def test_every_pair(state: State, event: Event) -> None:
    machine = Machine(chap.TABLE)
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
    for method in ("mschapv2", "chap-md5"):
        config = PppConfig("user1", "pw1", secrets={"user1": "pw1"}, name="lns")
        for role in (Chap.open_peer, Chap.open_authenticator):
            core = Chap(config, method, bytes, lambda frame: None)
            role(core, 0.0)
            for packet in packets:
                try:
                    core.receive(0.0, packet)
                except ProtocolError:
                    continue
