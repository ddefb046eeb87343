"""The server's side of a link: addresses from a pool, name servers, links that a LAC has begun, and what is said politely."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.wire import events
from harness.wire.config import PppConfig
from harness.wire.ppp import PppCore, frame, packet
from harness.wire.ppp.core import Phase
from harness.wire.ppp.packet import Code, Option, Packet
from harness.wire.proxy import AuthenType, Proxy

LCP, IPCP, CHAP, PAP, CCP, IPV6CP = 0xC021, 0x8021, 0xC223, 0xC023, 0x80FD, 0x8057


def client(**changes: Any) -> PppConfig:
    return PppConfig(**{"user": "user1", "password": "pw1", "accept": ("mschapv2", "chap-md5", "pap"), **changes})


def server(**changes: Any) -> PppConfig:
    given = {
        "user": "", "password": "", "accept": (), "demand": "chap-md5", "secrets": {"user1": "pw1"}, "name": "lns", "echo_s": None,
        "local_address": "172.16.1.1", "assign": "172.16.1.10", "request_dns": False,
    }  # fmt: skip
    return PppConfig(**{**given, **changes})


def settle(one: PppCore, other: PppCore, now: float = 0.0) -> list[tuple[int, bytes]]:
    """Carries frames until both are quiet; returns those of `other`, as protocol and information."""
    said = []
    for _ in range(100):
        there, back = one.take_frames(), other.take_frames()
        if not there and not back:
            return said
        for data in there:
            other.receive(now, data)
        for data in back:
            said.append(frame.parse(data))
            one.receive(now, data)
    raise AssertionError("the two never fall quiet")


def joined(one: PppConfig, other: PppConfig, seed: int = 1) -> tuple[PppCore, PppCore]:
    here, there = PppCore(one, random.Random(seed).randbytes), PppCore(other, random.Random(seed + 99).randbytes)
    here.open(0.0)
    there.open(0.0)
    settle(here, there)
    return here, there


def ups(core: PppCore) -> list[events.PppUp]:
    return [event for event in core.take_events() if isinstance(event, events.PppUp)]


def failure(core: PppCore) -> events.Failed:
    (one,) = (event for event in core.take_events() if isinstance(event, events.Failed))
    return one


# Addresses and name servers


def test_an_address_is_taken_from_the_pool_once_and_by_name() -> None:
    asked: list[str] = []

    def assign(user: str) -> str | None:
        asked.append(user)
        return "172.16.1.77"

    here, there = joined(client(), server(assign=assign))
    assert asked == ["user1"]
    assert here.address == "172.16.1.77"
    (up,) = ups(there)
    assert (up.peer, up.user) == ("172.16.1.77", "user1")
    there._lcp.down(1.0)
    there._lcp.up(1.0)
    there._settle(1.0)
    settle(here, there, 1.0)
    assert here.address == "172.16.1.77"
    assert asked == ["user1"]


def test_an_empty_pool_ends_ipcp_and_says_so() -> None:
    here = PppCore(client(), random.Random(1).randbytes)
    there = PppCore(server(assign=lambda user: None), random.Random(2).randbytes)
    here.open(0.0)
    there.open(0.0)
    said = settle(here, there)
    reason = b"no address is left for user1"
    assert [packet.parse("ipcp", data) for protocol, data in said if protocol == IPCP][-1].data == reason
    ending = [packet.parse("lcp", data) for protocol, data in said if protocol == LCP and data[0] == Code.TERMINATE_REQUEST]
    assert [one.data for one in ending] == [reason]
    failed = failure(there)
    assert (failed.stage, failed.reason, failed.facts["by"]) == ("IPCP", reason.decode(), "client")
    assert failure(here).reason.endswith(reason.decode())
    assert there.finished


def test_name_servers_of_both_kinds() -> None:
    """RFC 1877: asked for with 0.0.0.0, given by Configure-Nak."""
    config = server(assign_dns=("9.9.9.9", "8.8.8.8"), assign_nbns=("10.1.1.1", "10.1.1.2"))
    here, _ = joined(client(request_nbns=True), config)
    (up,) = ups(here)
    assert (up.dns, up.nbns) == (("9.9.9.9", "8.8.8.8"), ("10.1.1.1", "10.1.1.2"))


def test_name_servers_that_there_are_not_are_rejected() -> None:
    here, _ = joined(client(request_nbns=True), server(assign_dns=("9.9.9.9",)))
    (up,) = ups(here)
    assert (up.dns, up.nbns) == (("9.9.9.9",), ())


@pytest.mark.parametrize("wish", ["172.16.1.10", "192.168.7.7"])
def test_a_client_may_ask_for_an_address_and_takes_another(wish: str) -> None:
    here, _ = joined(client(requested_address=wish), server())
    assert here.address == "172.16.1.10"


def test_a_server_without_a_pool_takes_what_the_client_says() -> None:
    here, there = joined(client(requested_address="192.168.7.7"), server(assign=None))
    assert here.address == "192.168.7.7"
    assert ups(there)[0].peer == "192.168.7.7"


def test_a_client_that_asks_for_no_address_is_given_one() -> None:
    """RFC 1661 §5.3: a Nak may bring an option that was not in the request. A client that still wants none gets no link."""
    here = PppCore(client(request_dns=False), random.Random(2).randbytes)
    here._ipcp_options.reject((Option(3, b""),))
    there = PppCore(server(demand=None), random.Random(3).randbytes)
    here.open(0.0)
    there.open(0.0)
    said = settle(here, there)
    naks = [packet.parse("ipcp", data) for protocol, data in said if protocol == IPCP and data[0] == Code.CONFIGURE_NAK]
    assert [one.data for one in naks] == [bytes.fromhex("0306ac10010a")] * 3
    assert failure(there).reason == "the peer takes no address from us"


# A LAC has begun the link


def options(core: PppCore) -> bytes:
    """What the core's own last Configure-Request asks for."""
    return packet.build_options(core._lcp_options.request())


def dialled(method: str = "chap-md5", password: str = "pw1") -> tuple[PppCore, Proxy]:
    """A user whose LCP, and whose answer, a LAC has taken: the user waits for the result. The LAC is a core of the same code."""
    user = PppCore(client(accept=(method,), password=password, echo_s=None), random.Random(5).randbytes)
    lac = PppCore(server(demand=method), random.Random(6).randbytes)
    user.open(0.0)
    lac.open(0.0)
    answer = None
    while answer is None:
        for data in lac.take_frames():
            user.receive(0.0, data)
        for data in user.take_frames():
            protocol, information = frame.parse(data)
            if (protocol, information[0]) in ((CHAP, 2), (PAP, 1)):
                answer = packet.parse("answer", information)
            else:
                lac.receive(0.0, data)
    size = answer.data[0]
    value, rest = answer.data[1 : 1 + size], answer.data[1 + size :]
    asked = b"" if method == "pap" else lac._authenticator._challenge  # type: ignore[union-attr]
    kinds = {"pap": AuthenType.PAP, "mschapv1": AuthenType.MSCHAPV1}
    name, response = (value, rest[1:]) if method == "pap" else (rest, value)
    handed = Proxy(
        options(user), options(lac), options(user), kinds.get(method, AuthenType.CHAP), name.decode(), asked, answer.identifier,
        response,
    )  # fmt: skip
    return user, handed


@pytest.mark.parametrize("method", ["pap", "chap-md5", "mschapv1", "mschapv2"])
@pytest.mark.parametrize("policy", ["never", "on-mismatch"])
def test_a_link_is_taken_over_where_it_stands(method: str, policy: str) -> None:
    user, proxy = dialled(method)
    lns = PppCore(server(demand=("pap", "chap-md5", "mschapv1", "mschapv2"), lcp_renegotiation=policy), random.Random(7).randbytes)
    lns.open(0.0, proxy)
    said = settle(user, lns)
    assert not [data for protocol, data in said if protocol == LCP]
    assert said[0][0] == (PAP if method == "pap" else CHAP)
    assert user.address == "172.16.1.10"
    assert lns.user == "user1"
    assert [type(event).__name__ for event in lns.take_events()] == ["LcpUp", "Authenticated", "PppUp"]
    lns.close(1.0)
    settle(user, lns, 1.0)
    assert lns.finished
    assert user.phase is Phase.TERMINATE


@pytest.mark.parametrize("method", ["pap", "chap-md5", "mschapv1", "mschapv2"])
def test_a_wrong_answer_that_a_lac_hands_over_is_refused(method: str) -> None:
    user, proxy = dialled(method, password="wrong")
    lns = PppCore(server(demand=method, lcp_renegotiation="never"), random.Random(7).randbytes)
    lns.open(0.0, proxy)
    settle(user, lns)
    assert failure(lns).reason == "wrong password for user1"
    assert failure(user).stage == "PPP authentication"


@pytest.mark.parametrize(("method", "size"), [("mschapv1", 7), ("mschapv1", 16), ("mschapv2", 8), ("chap-md5", 0)])
def test_a_challenge_that_a_lac_cannot_have_sent(method: str, size: int) -> None:
    """There is no computing with it: what a LAC hands over is no more to be trusted than what a peer sends."""
    _, proxy = dialled(method)
    lns = PppCore(server(demand=method, lcp_renegotiation="never"), random.Random(7).randbytes)
    lns.open(0.0, replace(proxy, authen_challenge=bytes(size)))
    assert failure(lns).reason.endswith(f"a challenge of {size} bytes is none by {method}")


def test_a_link_without_an_answer_is_asked_by_the_lns() -> None:
    user, proxy = dialled()
    bare = Proxy(proxy.initial_received, proxy.last_sent, proxy.last_received)
    lns = PppCore(server(lcp_renegotiation="never"), random.Random(7).randbytes)
    lns.open(0.0, bare)
    said = settle(user, lns)
    assert [data[0] for protocol, data in said if protocol == CHAP] == [1, 3]
    assert user.address == "172.16.1.10"


def mismatches() -> dict[str, Callable[[Proxy], tuple[Proxy, PppConfig]]]:
    def changed(**changes: Any) -> Callable[[Proxy], tuple[Proxy, PppConfig]]:
        names = ("initial_received", "last_sent", "last_received", "authen_type", "authen_name", "authen_challenge", "authen_id")
        return lambda proxy: (
            Proxy(**{name: getattr(proxy, name) for name in (*names, "authen_response")} | changes),
            server(),
        )

    return {
        "another authentication is wanted": lambda proxy: (proxy, server(demand="mschapv2")),
        "none is wanted": lambda proxy: (proxy, server(demand=None)),
        "there is none": changed(last_sent=bytes.fromhex("0104057805060a0b0c0d")),
        "the type is another": changed(authen_type=AuthenType.PAP),
        "a typed password": changed(authen_type=AuthenType.TEXTUAL),
        "the response is short": changed(authen_response=b"short"),
        "an option is not taken": changed(last_received=bytes.fromhex("0d0306")),
        "cut off": changed(last_received=bytes.fromhex("0104")),
        "no requests": changed(last_sent=b"", last_received=b""),
    }


@pytest.mark.parametrize("what", mismatches())
@pytest.mark.parametrize("policy", ["never", "on-mismatch", "always"])
def test_what_does_not_fit_is_negotiated_anew_or_refused(what: str, policy: str) -> None:
    user, proxy = dialled()
    proxy, config = mismatches()[what](proxy)
    changes = {name: getattr(config, name) for name in ("demand",)} | {"lcp_renegotiation": policy}
    lns = PppCore(server(**changes), random.Random(7).randbytes)
    lns.open(0.0, proxy)
    if policy == "never":
        assert failure(lns).reason.startswith("the LCP that the LAC has negotiated does not do: ")
        assert lns.finished
        assert lns.take_frames() == []
        return
    user = PppCore(client(echo_s=None), random.Random(5).randbytes)  # it begins again when the new request comes
    user.open(0.0)
    said = settle(user, lns)
    assert said[0][0] == LCP
    assert said[0][1][0] == Code.CONFIGURE_REQUEST
    assert user.address == "172.16.1.10"


def test_always_means_that_what_fits_is_negotiated_anew_too() -> None:
    user, proxy = dialled()
    lns = PppCore(server(lcp_renegotiation="always"), random.Random(7).randbytes)
    lns.open(0.0, proxy)
    said = settle(user, lns)
    assert said[0][0] == LCP
    assert user.address == "172.16.1.10"  # the user's LCP was open, and begins again


def test_a_user_may_begin_lcp_again_after_the_link_was_taken_over() -> None:
    user, proxy = dialled()
    lns = PppCore(server(lcp_renegotiation="never"), random.Random(7).randbytes)
    lns.open(0.0, proxy)
    settle(user, lns)
    user._lcp.down(1.0)
    user._lcp.up(1.0)
    user._settle(1.0)
    said = settle(user, lns, 1.0)
    assert [data[0] for protocol, data in said if protocol == CHAP] == [1, 3]  # the LAC's answer counts only once
    assert user.address == "172.16.1.10"


@settings(max_examples=80)
@given(
    st.builds(
        Proxy, st.binary(max_size=20), st.binary(max_size=30), st.binary(max_size=30), st.one_of(st.none(), st.integers(0, 9)),
        st.text(max_size=5), st.binary(max_size=20), st.integers(0, 255), st.binary(max_size=60),
    ),
    st.sampled_from(["never", "on-mismatch", "always"]),
    st.sampled_from([None, "pap", "chap-md5", "mschapv1", "mschapv2"]),
)  # fmt: skip
def test_any_proxy_only_makes_events(proxy: Proxy, policy: str, demand: str | None) -> None:
    lns = PppCore(server(lcp_renegotiation=policy, demand=demand), random.Random(7).randbytes)
    lns.open(0.0, proxy)
    lns.tick(5.0)
    assert sum(isinstance(event, events.Failed) for event in lns.take_events()) <= 1


# What else comes along


@pytest.mark.parametrize("role", ["client", "server"])
@pytest.mark.parametrize("code", [Code.IDENTIFICATION, Code.TIME_REMAINING])
def test_what_is_said_for_information_is_passed_over(role: str, code: Code) -> None:
    """RFC 1570: Windows names itself so ("MSRASV5.10")."""
    here, there = joined(client(), server())
    core = here if role == "client" else there
    core.take_events()
    core.receive(1.0, frame.build(LCP, packet.build(Packet(code, 3, bytes.fromhex("11223344") + b"MSRASV5.10"))))
    assert core.take_frames() == []
    assert core.take_events() == []
    assert core.phase is Phase.NETWORK


@pytest.mark.parametrize("protocol", [CCP, IPV6CP])
def test_a_server_rejects_protocols_that_it_has_not(protocol: int) -> None:
    _, there = joined(client(), server())
    there.receive(1.0, frame.build(protocol, bytes.fromhex("01010004")))
    (rejected,) = (frame.parse(data)[1] for data in there.take_frames())
    assert rejected[0] == Code.PROTOCOL_REJECT
    assert rejected[4:6] == protocol.to_bytes(2)


@pytest.mark.parametrize(("kind", "value"), [(13, "06"), (17, "064e"), (18, ""), (19, "0100"), (23, "0001")])
def test_callback_and_multilink_are_rejected(kind: int, value: str) -> None:
    """Callback (13), MRRU (17), short sequence numbers (18), endpoint discriminator (19), link discriminator (23)."""
    core = PppCore(server(), random.Random(1).randbytes)
    core.open(0.0)
    core.take_frames()
    option = bytes((kind, 2 + len(value) // 2)) + bytes.fromhex(value)
    core.receive(0.0, frame.build(LCP, packet.build(Packet(Code.CONFIGURE_REQUEST, 1, option))))
    (answer,) = (packet.parse("lcp", frame.parse(data)[1]) for data in core.take_frames())
    assert answer == Packet(Code.CONFIGURE_REJECT, 1, option)


def test_a_server_watches_its_link_by_echoes() -> None:
    here, there = joined(client(echo_s=None), server(echo_s=10.0, echo_misses=3))
    there.take_events()
    for second in range(0, 100, 10):
        there.tick(float(second))
        settle(here, there, float(second))
    assert there.take_events() == []
    for second in range(100, 150, 10):
        there.tick(float(second))
        there.take_frames()
    assert failure(there).reason == "no answer to 3 LCP Echo-Requests"


# What is malformed changes nothing


def state_of(core: PppCore) -> tuple[object, ...]:
    roles = tuple((role.outcome, role.user, role.state) for role in core._roles)  # type: ignore[attr-defined]
    lcp, ipcp = core._lcp, core._ipcp
    return (core.phase, core.finished, core.address, lcp.state, ipcp.state, roles, core._lcp_options.__dict__.copy(), core.deadline)


MALFORMED = ("", "01", "0101", "010100", "01010003", "010100ff", "0101000501", "01010006ff01", "01010007030600", "01010008ffff0000")


@pytest.mark.parametrize("role", [0, 1])
@pytest.mark.parametrize("protocol", [LCP, IPCP, CHAP, PAP])
def test_malformed_packets_change_nothing(role: int, protocol: int) -> None:
    core = joined(client(echo_s=None), server())[role]
    core.take_events()
    for information in MALFORMED:
        for code in range(1, 5):
            raw = bytes.fromhex(information)
            before = state_of(core)
            core.receive(1.0, frame.build(protocol, raw and bytes((code,)) + raw[1:]))
            assert state_of(core) == before, (information, code)
            assert [type(event).__name__ for event in core.take_events()] == ["Refused"], (information, code)
            assert core.take_frames() == []
