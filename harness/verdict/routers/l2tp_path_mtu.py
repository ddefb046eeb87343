"""Path MTU discovery and Don't Fragment of L2TP tunnels: what a sender is told, what arrives, and what the outer header says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.model import Evidence, FrameKind, Observation, Side, Step, Told, Verdict
from harness.verdict.findings import Findings, require
from harness.verdict.routers.gate import RouterCheck, check
from harness.verdict.routers.reading import came_up, carrying, frames, l2tp, printed, step, told

LNS = "lns"
HOST = "host"
WITH_DF, WITHOUT_DF = "small with DF", "small without DF"
CLASS = "pseudowire-class ether-pw"
CLIENT = "client 1"
WIRE = 1500
"""Bytes of an IP packet that the Ethernet between the routers takes."""
CALLER_OFF, CALLER_ON, CALLER_OFF_AGAIN = "caller 1", "caller 2", "caller 3"
"""Who calls before `ip pmtu` is there, while it is, and when it is no more."""


@dataclass(frozen=True, slots=True)
class Fared:
    """What became of a packet that the host behind the LNS has sent: whether it arrived, the MTU that the host was told (None: it
    was told nothing), and what carried it on the wire."""

    sent: Told
    arrived: bool
    mtu: int | None
    outer: tuple[Observation, ...]


def fared(evidence: Evidence, label: str) -> Fared:
    """Of the packet of that step. Inconclusive where it was not sent."""
    one = step(evidence, f"host-sends:{label}")
    sent = next(iter(told(evidence, "sent", HOST, since=one.began, until=one.ended)), None)
    require(sent is not None, f"the host told of no packet in {one.name!r}")
    assert sent is not None
    number, size = sent.data["number"], sent.data["size"]
    arrived = any(other.data["number"] == number for other in told(evidence, "got"))
    answer = next((other for other in told(evidence, "unreachable", HOST) if other.data["number"] == number), None)
    outer = carrying(evidence, sent.data["src"], size, since=one.began, until=one.ended)
    return Fared(sent, arrived, None if answer is None else answer.data["mtu"], outer)


def _fresh(evidence: Evidence, *callers: str) -> None:
    """Inconclusive where one of them came into a tunnel that was there already: what was configured since does not count for it."""
    for name in callers:
        dialled = step(evidence, f"dial:{name}")
        begun = l2tp(evidence, "SCCRQ", since=dialled.began, until=dialled.ended)
        require(bool(begun), f"no tunnel was made for {name}, so what was configured last is not in force")


def _pinged(evidence: Evidence, name: str, size: int, *, df: bool) -> tuple[Step, Told]:
    """The first ping of that caller's of that size, and what it told of it."""
    for one in evidence.steps:
        if one.name == f"ping:{name}" and (one.detail.get("size"), one.detail.get("df")) == (size, df):
            found = next((other for other in told(evidence, "pinged", name) if one.began < other.t <= one.ended), None)
            if found is not None:
                return one, found
    require(False, f"{name} has not pinged with {size} bytes{' and DF' if df else ''}")
    raise AssertionError


def _refused_after(evidence: Evidence, phase: str) -> Fared:
    """The large packet behind the ICMP message. Inconclusive where no message was sent, or the packet did not pass before it."""
    step(evidence, f"inject:fragmentation needed, {phase}")
    require(fared(evidence, f"{phase}: large with DF, before").arrived, "the large packet did not arrive before the message either")
    return fared(evidence, f"{phase}: large with DF")


def _ignored(evidence: Evidence, found: Findings, phase: str) -> None:
    after, control = _refused_after(evidence, phase), _refused_after(evidence, "on")
    require(control.mtu is not None or not control.arrived, "with ip pmtu the message taught nothing either")
    found.expect(after.arrived, "a packet that had passed before the ICMP message no longer arrives", *after.outer)
    found.expect(after.mtu is None, f"its sender was told that {after.mtu} bytes are the most")


def _outer_df(evidence: Evidence, label: str) -> bool:
    """Don't Fragment of what carried the packet of that step. Inconclusive where nothing did."""
    outer = fared(evidence, label).outer
    require(bool(outer), f"what the host sent ({label}) was not seen on the wire")
    return bool(outer[0].headers["df"])


@check(Side.OUTSIDE, decrypted=True)
def by_default_nothing_is_learnt(evidence: Evidence) -> Verdict:
    """SEC-110: without the line an ICMP message that fragmentation is needed changes nothing."""
    _fresh(evidence, CALLER_ON)
    found = Findings()
    _ignored(evidence, found, "off")
    return found.verdict("without ip pmtu the message was ignored, and with it it was not")


@check(Side.OUTSIDE, decrypted=True)
def an_icmp_message_sets_the_mtu(evidence: Evidence) -> Verdict:
    """SEC-111: with the line, what would not fit the path is refused, and what still passes fits it."""
    _fresh(evidence, CALLER_ON)
    after = _refused_after(evidence, "on")
    message = next((one for one in told(evidence, "injected") if one.data["what"] == "fragmentation needed, on"), None)
    require(message is not None, "no ICMP message was sent")
    assert message is not None
    path = message.data["mtu"]
    found = Findings(path_mtu=path, told=after.mtu)
    found.expect(not after.arrived, f"{after.sent.data['size']} bytes still pass", *after.outer)
    if found.expect(after.mtu is not None, "the sender of what no longer fits was told no MTU"):
        found.expect((after.mtu or 0) <= path, f"the sender was told {after.mtu}, and the path takes {path}")
        fits = fared(evidence, "on: as large as told")
        found.facts["outer"] = [frame.headers["ip_length"] for frame in fits.outer]
        found.expect(fits.arrived, f"{fits.sent.data['size']} bytes, as many as its sender was told, do not arrive")
        for frame in fits.outer:
            size = frame.headers["ip_length"]
            found.expect(size <= path, f"a packet of {size} bytes with DF went onto a path that takes {path}", frame)
    return found.verdict(f"of {path} bytes on the path, {after.mtu} were left for a packet inside, and fitted")


@check(Side.OUTSIDE, decrypted=True)
def too_big_is_dropped_and_its_sender_told(evidence: Evidence) -> Verdict:
    """SEC-112, at the LNS towards its LAN and at the LAC towards its caller: what is too large and has DF is dropped, its sender
    is told; without DF the same size passes."""
    _fresh(evidence, CALLER_ON)
    found = Findings()
    large, control = fared(evidence, "on: large with DF"), fared(evidence, "on: large without DF")
    require(fared(evidence, "off: large without DF").arrived, "without ip pmtu a packet as large without DF does not arrive either")
    found.expect(control.arrived, "a packet as large without DF, which may be cut, did not arrive")
    found.expect(not large.arrived, "a packet with DF that is larger than the tunnel's MTU arrived", *large.outer)
    for frame in large.outer:
        found.expect(False, "a packet with DF that is larger than the tunnel's MTU went onto the wire", frame)
    size = large.sent.data["size"]
    if found.expect(large.mtu is not None, "the host behind the LNS was told nothing of the packet that was dropped"):
        found.expect((large.mtu or 0) < size, f"the host was told that {large.mtu} bytes pass, and had sent {size}")
    whole = max(int(one.detail["size"]) for one in evidence.steps if one.name == f"ping:{CALLER_ON}")
    before, _ = _pinged(evidence, CALLER_OFF, whole, df=True)
    require(bool(carrying(evidence, "", whole, since=before.began, until=before.ended)), f"{whole} bytes never crossed the wire")
    asked, answer = _pinged(evidence, CALLER_ON, whole, df=True)
    for frame in carrying(evidence, "", whole, since=asked.began, until=asked.ended):
        found.expect(False, f"{whole} bytes with DF of a caller's went onto the wire", frame)
    heard = [one.data["mtu"] for one in told(evidence, "unreachable", CALLER_ON) if asked.began < one.t <= asked.ended]
    found.expect(not answer.data["answered"], f"a caller's ping of {whole} bytes with DF was answered")
    if found.expect(bool(heard), "the caller was told nothing of the packet that its LAC dropped"):
        found.expect(heard[0] < whole, f"the caller was told that {heard[0]} bytes pass, and had sent {whole}")
    found.facts |= {"told_the_host": large.mtu, "told_the_caller": heard}
    return found.verdict("what was too large and not to be cut was dropped, and its sender told")


def _caller_df(evidence: Evidence, *, df: bool) -> bool:
    small = min(int(one.detail["size"]) for one in evidence.steps if one.name == f"ping:{CALLER_ON}")
    asked, _ = _pinged(evidence, CALLER_ON, small, df=df)
    crossed = carrying(evidence, "", small, since=asked.began, until=asked.ended)
    sent = [frame for frame in crossed if frame.dst == evidence.gateway_address]
    require(bool(sent), "the caller's ping was not seen on the wire")
    return bool(sent[0].headers["df"])


@check(Side.OUTSIDE, decrypted=True)
def dont_fragment_is_reflected(evidence: Evidence) -> Verdict:
    """SEC-113: around a packet with DF, that fits, the tunnel's header has DF too, in both directions."""
    _fresh(evidence, CALLER_ON)
    found = Findings()
    found.expect(_outer_df(evidence, f"on: {WITH_DF}"), "the LNS put a packet with DF into one without")
    found.expect(_caller_df(evidence, df=True), "the LAC put a packet with DF into one without")
    return found.verdict("Don't Fragment was the same outside as inside")


@check(Side.OUTSIDE, decrypted=True)
def its_absence_is_reflected(evidence: Evidence) -> Verdict:
    """SEC-114: around a packet without DF, that fits, the tunnel's header has none."""
    _fresh(evidence, CALLER_ON)
    found = Findings()
    found.expect(not _outer_df(evidence, f"on: {WITHOUT_DF}"), "the LNS put a packet without DF into one with it")
    found.expect(not _caller_df(evidence, df=False), "the LAC put a packet without DF into one with it")
    return found.verdict("what may be cut inside may be cut outside")


@check(Side.OUTSIDE, decrypted=True)
def as_large_as_the_mtu(evidence: Evidence) -> Verdict:
    """SEC-115: the document says what becomes of larger packets and of smaller ones; what becomes of those as large is noted."""
    sizes = {}
    for label in ("on: as large as told", "on: larger by a byte"):
        one = fared(evidence, label)
        outer = [frame.headers["ip_length"] for frame in one.outer]
        sizes[one.sent.data["size"]] = {"arrived": one.arrived, "told": one.mtu, "outer": outer}
    found = Findings(mtu=fared(evidence, "on: large with DF").mtu, sizes=sizes)
    found.expect(bool(sizes), "no packet was as large as the MTU")
    return found.verdict("; ".join(f"{size} bytes {'arrived' if one['arrived'] else 'did not'}" for size, one in sizes.items()))


@check(Side.OUTSIDE, decrypted="esp")
def df_bit_set(evidence: Evidence) -> Verdict:
    """SEC-116: `ip dfbit set` puts DF around packets that have none."""
    refused = printed(evidence, LNS, "ip dfbit set").refused
    require(not refused, f"a vpdn-group of this router does not take the line: {refused}")
    _fresh(evidence, "caller 2", "caller 3")
    require(not _outer_df(evidence, f"unset: {WITHOUT_DF}"), "the tunnel's header has DF without the line too")
    found = Findings()
    found.expect(_outer_df(evidence, f"set: {WITHOUT_DF}"), "with ip dfbit set the tunnel's header has no DF")
    found.expect(not _outer_df(evidence, f"unset again: {WITHOUT_DF}"), "the line was taken back, and DF is still set")
    return found.verdict("the tunnel's header had DF as long as the line was there")


@check(Side.OUTSIDE, decrypted=True)
def each_group_for_itself(evidence: Evidence) -> Verdict:
    """SEC-117: of two groups between the same two addresses only the tunnels of the one with the line take part."""
    found = Findings()
    for whose in ("with", "without"):
        step(evidence, f"inject:fragmentation needed, {whose}")
    require(fared(evidence, "with: large with DF, before").arrived, "the large packet did not arrive with it before")
    # By then the other tunnel has learnt: whose sender is told an MTU here already shares what that one knows.
    before = fared(evidence, "without: large with DF, before")
    found.expect(before.mtu is None, f"the tunnel of the group without ip pmtu had an MTU of {before.mtu} from the other's message")
    require(before.arrived or before.mtu is not None, "the large packet did not arrive without it before")
    taking, other = fared(evidence, "with: large with DF"), fared(evidence, "without: large with DF")
    found.expect(taking.mtu is not None and not taking.arrived, "the tunnel of the group with ip pmtu learnt nothing")
    found.expect(other.arrived, "the tunnel of the group without ip pmtu lost a packet that had passed before", *other.outer)
    found.expect(other.mtu is None, f"the tunnel of the group without ip pmtu has an MTU of {other.mtu}")
    found.expect(_outer_df(evidence, f"with: {WITH_DF}"), "the group with ip pmtu does not reflect DF")
    found.expect(not _outer_df(evidence, f"without: {WITH_DF}"), "the group without ip pmtu reflects DF")
    return found.verdict("only the tunnel of the group with ip pmtu reflected DF and learnt an MTU")


@check()
def a_pseudowire_class_takes_it(evidence: Evidence) -> Verdict:
    """SEC-118: `ip pmtu` is a command of a pseudowire class, stands in the configuration, and goes with `no`."""
    found = Findings()
    for label, line, there in (("with", "ip pmtu", True), ("without", "no ip pmtu", False)):
        refused = printed(evidence, LNS, line, label).refused
        found.expect(not refused, f"{line!r} is refused in a pseudowire class: {refused}")
        lines = printed(evidence, LNS, "show running-config", label).text.splitlines()
        require(CLASS in lines, "the pseudowire class is not in the configuration")
        below = lines[lines.index(CLASS) + 1 :]
        section = [one.strip() for one in below[: next((n for n, one in enumerate(below) if one[:1] != " "), None)]]
        found.expect(("ip pmtu" in section) is there, f"after {line!r} the class has {section or 'no lines'}")
    return found.verdict("the class took the line and gave it back")


@check(Side.OUTSIDE, decrypted=True)
def without_again_nothing_is_learnt(evidence: Evidence) -> Verdict:
    """SEC-119: after `no ip pmtu` it is as before the line: messages are ignored, and DF is what it was."""
    _fresh(evidence, CALLER_ON, CALLER_OFF_AGAIN)
    found = Findings()
    _ignored(evidence, found, "off again")
    before, after = _outer_df(evidence, f"off: {WITH_DF}"), _outer_df(evidence, f"off again: {WITH_DF}")
    found.expect(before == after, f"DF outside was {before} before ip pmtu, and is {after} after no ip pmtu")
    return found.verdict("after no ip pmtu the message was ignored, and DF is as before")


@check(Side.OUTSIDE, decrypted=True)
def a_forged_message_teaches_nothing(evidence: Evidence) -> Verdict:
    """SEC-121: messages that quote what the router never sent leave the MTU alone; one that quotes what it sent does not."""
    real = "the packet itself"
    require(fared(evidence, "before").arrived, "the large packet did not arrive before the messages either")
    forged = [one.data["what"] for one in told(evidence, "injected") if one.data["what"] != real]
    require(bool(forged), "no forged message was sent")
    found = Findings(forged=forged)
    for what in forged:
        after = fared(evidence, what)
        found.expect(after.arrived and after.mtu is None, f"a message that quotes {what} was believed", *after.outer)
    if not found.faults:
        control = fared(evidence, real)
        require(control.mtu is not None or not control.arrived, "a message about a packet that it sent taught nothing either")
    return found.verdict(f"{len(forged)} forged messages taught nothing, and the true one did")


@check(Side.OUTSIDE, decrypted=True)
def no_black_hole_behind_a_nat(evidence: Evidence) -> Verdict:
    """SEC-122: in ESP in UDP there is less room. Of every size with DF either the packet arrives, in one that fits the wire, or its
    sender is told; and what the sender is told arrives."""
    require(came_up(evidence, CLIENT) is not None, "no client came up behind the NAT")
    carried = frames(evidence, FrameKind.ESP, src=evidence.gateway_address)
    require(any(one.headers.get("encapsulation") == "udp" for one in carried), "no ESP in UDP crossed the wire: there is no NAT")
    labels = [one.name.partition(":")[2] for one in evidence.steps if one.name.startswith("host-sends:")]
    fates = [fared(evidence, label) for label in labels]
    passed = sorted(one.sent.data["size"] for one in fates if one.arrived)
    refused = sorted(one.sent.data["size"] for one in fates if one.mtu is not None)
    found = Findings(passed=passed, refused=refused, told=sorted({one.mtu for one in fates if one.mtu is not None}))
    for one in fates:
        size = one.sent.data["size"]
        found.expect(one.arrived or one.mtu is not None, f"{size} bytes with DF did not arrive, and their sender was told nothing")
        found.expect(not (one.arrived and one.mtu is not None), f"{size} bytes arrived, and their sender was told that they do not")
        for frame in one.outer:
            whole = frame.headers["ip_length"]
            found.expect(whole <= WIRE, f"{size} bytes left in a packet of {whole}, and the wire takes {WIRE}", frame)
    if not found.faults:
        require(bool(passed) and bool(refused), "there is no size that passes, or none that does not: the edge was not met")
        found.expect(passed[-1] < refused[0], f"{passed[-1]} bytes passed, and {refused[0]} did not")
        found.expect(fared(evidence, "as large as told").arrived, "as many bytes as their sender was told do not arrive")
    return found.verdict(f"up to {max(passed, default=0)} bytes arrived, and of {min(refused, default=0)} on their sender was told")


CHECKS: Mapping[str, RouterCheck] = {
    "SEC-110": by_default_nothing_is_learnt,
    "SEC-111": an_icmp_message_sets_the_mtu,
    "SEC-112": too_big_is_dropped_and_its_sender_told,
    "SEC-113": dont_fragment_is_reflected,
    "SEC-114": its_absence_is_reflected,
    "SEC-116": df_bit_set,
    "SEC-117": each_group_for_itself,
    "SEC-118": a_pseudowire_class_takes_it,
    "SEC-119": without_again_nothing_is_learnt,
    "SEC-121": a_forged_message_teaches_nothing,
    "SEC-122": no_black_hole_behind_a_nat,
}
NOTED: Mapping[str, RouterCheck] = {"SEC-115": as_large_as_the_mtu}
