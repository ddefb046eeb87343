"""FTP, SCCP and the other services of `ip nat service` beside those of ESP and IKE: what the hosts on both sides saw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.model import Evidence, FrameKind, Side, Told, Verdict, nat_words
from harness.verdict.findings import Findings, require
from harness.verdict.routers.esp_transparency import BARE, carried_in
from harness.verdict.routers.gate import RouterCheck, check
from harness.verdict.routers.reading import arrived, exchanged, frames, printed, step

SIDES = (Side.INSIDE, Side.OUTSIDE)
OUTSIDER, MANAGER, PHONE = "203.0.113.9", "203.0.113.8", "10.0.0.50"
SERVER, OTHER = "203.0.113.99", "203.0.113.98"
ALONE, BOTH = "2021 alone", "both"
MEDIA_PORT = 16384
SYN, ACK = 0x02, 0x10
LINES = (
    "ip nat service list 10 ESP spi-match",
    "ip nat service list 10 IKE preserve-port",
    "ip nat service H225",
    "ip nat service ras",
    "ip nat service sip tcp port 5060",
    "ip nat service sip udp port 5060",
)
Pair = tuple[Told, Told | None]


# FTP


@dataclass(frozen=True, slots=True)
class Session:
    """A control connection of the outside client's, as both ends tell of it. None where it did not come so far: `said` the place
    for data that the server named, `seen` the one that the client was told, `data` whether the client came to the server there,
    `numbers` whether the client's acknowledgement then was of what the server had sent."""

    opened: bool
    said: tuple[str, int] | None
    seen: tuple[str, int] | None
    data: bool
    numbers: bool


def session(evidence: Evidence, name: str) -> Session:
    at = step(evidence, name)
    pairs = [pair for pair in arrived(evidence, since=at.began, until=at.ended) if "protocol" in pair[0].data]
    syns = [pair for pair in pairs if _flags(pair[0]) & (SYN | ACK) == SYN and pair[0].data["src"] == OUTSIDER]
    require(bool(syns), f"no client asked for a control connection in {name!r}")
    answer = next((pair for pair in pairs if str(pair[0].data["said"]).startswith("227 ")), None)
    asked = next((pair for pair in pairs if str(pair[0].data["said"]).startswith("LIST")), None)
    said = nat_words.told_passive(str(answer[0].data["said"])) if answer else None
    seen = nat_words.told_passive(str(answer[1].data["said"])) if answer and answer[1] else None
    data = any(got is not None and said is not None and (got.data["dst"], got.data["dport"]) == said for _, got in syns[1:])
    numbers = bool(answer and asked and asked[1]) and _acknowledges(answer, asked)
    return Session(syns[0][1] is not None, said, seen, data, numbers)


def _flags(one: Told) -> int:
    return int(one.data.get("flags", 0))


def _acknowledges(answer: Pair | None, asked: Pair | None) -> bool:
    assert answer is not None
    assert asked is not None
    got = asked[1]
    assert got is not None
    return bool(got.data["ack"] == answer[0].data["seq"] + len(answer[0].data["said"]))


def _expect_session(found: Findings, one: Session, address: str, port: int, when: str) -> None:
    what = f"to {address} port {port} with {when}"
    if not found.expect(one.opened, f"no control connection {what}"):
        return
    found.expect(one.seen is not None and one.seen[0] == address, f"the client {what} was told to go to {one.seen}")
    found.expect(one.data, f"the client {what} did not come to the server's {one.said} for data")
    found.expect(one.numbers, f"the client {what} acknowledged what the server had not sent")


@check(*SIDES)
def ftp_on_2021_alone(evidence: Evidence) -> Verdict:
    """ESN-70: where port 2021 alone is configured for an FTP server, the NAT lets no control connection to its port 21 through;
    those to 2021 work, with the address for data translated, and so does port 21 of another server."""
    require(session(evidence, "no line").opened, "port 21 was not let through without the line either")
    found = Findings()
    blocked = f"{ALONE}:{SERVER}:21"
    found.expect(not session(evidence, blocked).opened, f"a control connection to {SERVER} port 21 was let through")
    at = step(evidence, blocked)
    require(bool(frames(evidence, since=at.began, until=at.ended, src=OUTSIDER)), "the client's request is not on the wire")
    for frame in frames(evidence, side=Side.INSIDE, since=at.began, until=at.ended, src=OUTSIDER):
        found.expect(False, f"the NAT let something of {OUTSIDER} to port 21 through", frame)
    for address, port in ((SERVER, 2021), (OTHER, 21)):
        _expect_session(found, session(evidence, f"{ALONE}:{address}:{port}"), address, port, "2021 alone")
    return found.verdict("with 2021 alone, port 21 of that server is blocked, and nothing else")


@check(*SIDES)
def ftp_on_both(evidence: Evidence) -> Verdict:
    """ESN-71: with lines for 21 and 2021 both work, while the services of ESP and IKE are on and tunnels are up."""
    found = Findings()
    for port in (21, 2021):
        _expect_session(found, session(evidence, f"{BOTH}:{SERVER}:{port}"), SERVER, port, "both lines")
    _expect_tunnels(found, evidence, BOTH)
    return found.verdict("with both lines both ports work, beside the tunnels")


# The tunnels beside them


def _expect_tunnels(found: Findings, evidence: Evidence, label: str) -> None:
    """Of at least two clients, packets came both ways, as protocol 50; both kept port 500 on the outside."""
    talks = [one for one in exchanged(evidence) if one.name.endswith(f":{label}")]
    require(len(talks) > 1, "fewer than two tunnels were asked whether they live")
    for at in talks:
        for sent, got in arrived(evidence, since=at.began, until=at.ended):
            found.expect(got is not None, f"packet {sent.data['number']} of {sent.who} did not come ({label})")
        for frame in frames(evidence, FrameKind.ESP, since=at.began, until=at.ended):
            found.expect(carried_in(frame) == BARE, f"ESP was in {carried_in(frame)}", frame)
    inside = {one.src for one in frames(evidence, FrameKind.IKE, side=Side.INSIDE) if one.src.startswith("10.")}
    require(len(inside) > 1, "fewer than two clients spoke IKE")
    for frame in frames(evidence, FrameKind.IKE, src=evidence.nat_outside or ""):
        found.expect(frame.sport == 500, f"IKE left the NAT from port {frame.sport}", frame)


# SCCP


@check(*SIDES)
def skinny_on_20002(evidence: Evidence) -> Verdict:
    """ESN-72: with the line for port 20002 a call manager there is told the NAT's address in a phone's messages, and media that are
    sent to where it is told come to the phone; without the line it is told the phone's own address."""
    found = Findings()
    addresses = {}
    for name in ("without", "with"):
        at = step(evidence, f"phone:{name} the line")
        seen = [
            str(got.data["said"])
            for _, got in arrived(evidence, since=at.began, until=at.ended)
            if got is not None and got.data.get("dst") == MANAGER
        ]
        told = [address for said in seen if (address := nat_words.told_register(said))]
        told += [where[0] for said in seen if (where := nat_words.told_opened(said))]
        require(len(told) == 2, f"the call manager did not get both of the phone's messages {name} the line")
        addresses[name] = told
    found.facts.update(addresses)
    nat = evidence.nat_outside
    for address in addresses["with"]:
        found.expect(address == nat, f"with the line the call manager was told {address}")
    for address in addresses["without"]:
        found.expect(address == PHONE, f"without the line the call manager was told {address}")
    at = step(evidence, "phone:with the line")
    media = [pair for pair in arrived(evidence, since=at.began, until=at.ended) if pair[0].data["said"] == "media"]
    require(bool(media), "nobody sent media")
    for sent, got in media:
        came = got is not None and (got.data["dst"], got.data["dport"]) == (PHONE, MEDIA_PORT)
        found.expect(came, f"media to {sent.data['dst']} port {sent.data['dport']} did not come to the phone")
    return found.verdict("the phone's address is translated on port 20002 where a line says so")


# The others


@check(*SIDES)
def others_beside_esp_and_ike(evidence: Evidence) -> Verdict:
    """ESN-73: the lines of H.225, RAS and SIP are taken beside those of ESP and IKE, and are all in the configuration; live tunnels
    go on, new ones come up, and what hosts send on the ports of those services gets through."""
    found = Findings()
    for line in LINES[2:]:
        refused = printed(evidence, "nat", line, "others").refused
        found.expect(not refused, f"`{line}` was refused: {refused}")
    text = printed(evidence, "nat", "show running-config", "others").text
    require("hostname" in text, "the running configuration was not printed")
    shown = {" ".join(line.split()).lower() for line in text.splitlines()}
    for line in LINES:
        found.expect(line.lower() in shown, f"`{line}` is not in the configuration")
    at = step(evidence, "neighbours")
    sent = [pair for pair in arrived(evidence, since=at.began, until=at.ended) if pair[0].data["src"] == PHONE]
    ports = {(pair[0].data["protocol"], pair[0].data["dport"]) for pair in sent}
    require(ports >= {("udp", 5060), ("tcp", 5060), ("tcp", 1720), ("udp", 1719)}, "not all services were tried")
    for packet, got in sent:
        found.expect(got is not None, f"{packet.data['protocol']} to port {packet.data['dport']} did not come")
    step(evidence, "tunnels anew")
    for label in ("live", "anew"):
        _expect_tunnels(found, evidence, label)
    return found.verdict("the other services do not disturb those of ESP and IKE")


@check(*SIDES)
def preserve_port_is_about_udp(evidence: Evidence) -> Verdict:
    """ESN-74: the document's example speaks of "TCP port 500"; flagged. What the line preserves is the UDP port 500 of IKE: two
    clients keep it, and of two hosts with a TCP connection from port 500 one gets another port, as without the line."""
    found = Findings(document="TCP port 500", wire="UDP port 500")
    at = step(evidence, "TCP from port 500")
    pairs = [pair for pair in arrived(evidence, since=at.began, until=at.ended) if _flags(pair[0]) & (SYN | ACK) == SYN]
    require(len({sent.data["src"] for sent, _ in pairs}) > 1, "fewer than two hosts spoke TCP from port 500")
    seen = [got.data["sport"] for _, got in pairs if got is not None]
    require(len(seen) == len(pairs), "a connection from port 500 was not let through")
    found.expect(len(set(seen)) == len(seen), f"TCP connections of several hosts were seen from the ports {seen}")
    ike = frames(evidence, FrameKind.IKE, src=evidence.nat_outside or "")
    clients = {one.src for one in frames(evidence, FrameKind.IKE, side=Side.INSIDE) if one.src.startswith("10.")}
    require(len(clients) > 1 and bool(ike), "fewer than two clients spoke IKE")
    for frame in ike:
        found.expect(frame.sport == 500, f"IKE left the NAT from UDP port {frame.sport}", frame)
    return found.verdict("the port that is preserved is UDP 500; the document's TCP is a slip")


CHECKS: Mapping[str, RouterCheck] = {
    "ESN-70": ftp_on_2021_alone,
    "ESN-71": ftp_on_both,
    "ESN-72": skinny_on_20002,
    "ESN-73": others_beside_esp_and_ike,
    "ESN-74": preserve_port_is_about_udp,
}
