"""IOS access lists as data: numbered and named, standard and extended; the first entry that fits decides, and the last one denies.

A list is what a crypto map entry protects, what a NAT takes for its own, what a service is limited to. As `access-list 101 permit
udp host 10.0.0.12 eq 1701 10.0.1.0 0.0.0.255` is written: in a wildcard mask, set bits are those that do not matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from harness.errors import UsageError
from harness.model import wildcards
from harness.wire import ip
from harness.wire.config import Selector

ANY = Selector(0, 0)
PROTOCOLS = {"ip": 0, "icmp": 1, "igmp": 2, "tcp": 6, "udp": 17, "gre": 47, "esp": 50, "ahp": 51, "eigrp": 88, "ospf": 89}
PORT_NAMES = {
    "echo": 7, "ftp-data": 20, "ftp": 21, "telnet": 23, "smtp": 25, "domain": 53, "bootps": 67, "bootpc": 68, "tftp": 69, "www": 80,
    "ntp": 123, "snmp": 161, "snmptrap": 162, "bgp": 179, "isakmp": 500, "syslog": 514, "rip": 520, "non500-isakmp": 4500,
}  # fmt: skip
_STANDARD = (range(1, 100), range(1300, 2000))
_EXTENDED = (range(100, 200), range(2000, 2700))
_PORTED = (6, 17)


@dataclass(frozen=True, slots=True)
class Flow:
    """What of a packet access lists look at. Addresses are numbers; ports are 0 where the packet has none."""

    source: int
    destination: int
    protocol: int
    sport: int = 0
    dport: int = 0

    @property
    def reversed(self) -> Flow:
        return Flow(self.destination, self.source, self.protocol, self.dport, self.sport)

    def __str__(self) -> str:
        ends = [ip.dotted(number.to_bytes(4)) for number in (self.source, self.destination)]
        ports = [f":{port}" if port else "" for port in (self.sport, self.dport)]
        return f"protocol {self.protocol} from {ends[0]}{ports[0]} to {ends[1]}{ports[1]}"


def flow_of(packet: bytes) -> Flow:
    """Of a whole IPv4 packet, or a fragment. ProtocolError where it is malformed."""
    parsed = ip.parse_ipv4(packet)
    ends = int.from_bytes(packet[12:16]), int.from_bytes(packet[16:20])
    first = not int.from_bytes(packet[6:8]) & 0x1FFF
    if parsed.protocol not in _PORTED or not first or len(parsed.payload) < 4:
        return Flow(*ends, parsed.protocol)
    return Flow(*ends, parsed.protocol, int.from_bytes(parsed.payload[:2]), int.from_bytes(parsed.payload[2:4]))


@dataclass(frozen=True, slots=True)
class Entry:
    """`source` and `destination` both have the protocol of the entry."""

    action: Literal["permit", "deny"]
    source: Selector
    destination: Selector = ANY

    def fits(self, flow: Flow) -> bool:
        return self.source.holds(flow.source, flow.protocol, flow.sport) and self.destination.holds(
            flow.destination, flow.protocol, flow.dport
        )

    @property
    def mirrored(self) -> Entry:
        return Entry(self.action, self.destination, self.source)

    def covers(self, source: Selector, destination: Selector) -> bool:
        return self.source.covers(source) and self.destination.covers(destination)

    def __str__(self) -> str:
        """As `show access-lists` and a configuration have it."""
        number = self.source.protocol
        name = next((name for name, value in PROTOCOLS.items() if value == number), str(number))
        return f"{self.action} {name} {_end(self.source)} {_end(self.destination)}"


@dataclass(frozen=True, slots=True)
class AccessList:
    name: str
    entries: tuple[Entry, ...] = ()

    def first(self, flow: Flow) -> Entry | None:
        """The entry that decides; None is the implicit deny. A list without entries is as good as none, and denies here too."""
        return next((entry for entry in self.entries if entry.fits(flow)), None)

    def permits(self, flow: Flow) -> bool:
        entry = self.first(flow)
        return entry is not None and entry.action == "permit"

    def permit_that_covers(self, source: Selector, destination: Selector) -> Entry | None:
        """The permit within which all of a flow lies, unless an entry before it denies all of it."""
        for entry in self.entries:
            if entry.covers(source, destination):
                return entry if entry.action == "permit" else None
        return None


def extended(name: str | int) -> bool:
    """Whether a list of this name or number is extended; all named ones are taken for it."""
    text = str(name)
    if not text.isdigit():
        return True
    number = int(text)
    if any(number in these for these in _STANDARD):
        return False
    if any(number in these for these in _EXTENDED):
        return True
    raise UsageError(f"no IP access list has the number {text}", cure="1 to 99 and 1300 to 1999, or 100 to 199 and 2000 to 2699")


def access_list(name: str | int, *lines: str) -> AccessList:
    """From lines such as `permit ip 10.1.0.0 0.0.255.255 any`. UsageError names the word that is wrong."""
    read = parse_extended if extended(name) else parse_standard
    return AccessList(str(name), tuple(read(line.split()) for line in lines))


def parse_standard(words: Sequence[str]) -> Entry:
    rest = list(words)
    action = _action(rest)
    source = _address(rest, 0, alone=True)
    _at_end(rest)
    return Entry(action, source)


def parse_extended(words: Sequence[str]) -> Entry:
    rest = list(words)
    action = _action(rest)
    word = _next(rest, "a protocol")
    protocol = PROTOCOLS.get(word)
    if protocol is None:
        if not word.isdigit() or int(word) > 255:
            raise UsageError(f"{word!r} is no protocol", cure="one of " + ", ".join(PROTOCOLS) + ", or 0 to 255")
        protocol = int(word)
    source, destination = _address(rest, protocol), _address(rest, protocol)
    if rest and rest[0] in ("log", "log-input"):
        rest.pop(0)
    _at_end(rest)
    return Entry(action, source, destination)


def _next(rest: list[str], what: str) -> str:
    if not rest:
        raise UsageError(f"the line ends where {what} has to be")
    return rest.pop(0)


def _action(rest: list[str]) -> Literal["permit", "deny"]:
    word = _next(rest, "permit or deny")
    if word == "permit":
        return "permit"
    if word == "deny":
        return "deny"
    raise UsageError(f"{word!r} stands where permit or deny has to be")


def _address(rest: list[str], protocol: int, *, alone: bool = False) -> Selector:
    """`any`, `host A` or `A WILDCARD`, and `eq PORT` behind it where the protocol has ports. `alone`: A without a wildcard is a
    host, as in standard lists."""
    try:
        (address, wildcard), rest[:] = wildcards.read(rest, bare=alone)
    except ValueError as error:
        raise UsageError(str(error)) from None
    mask = wildcard ^ wildcards.ALL
    port = 0
    if rest and rest[0] == "eq":
        rest.pop(0)
        word = _next(rest, "a port")
        if protocol not in _PORTED:
            raise UsageError(f"eq {word}: only tcp and udp have ports")
        port = PORT_NAMES.get(word, int(word) if word.isdigit() else 0)
        if not 0 < port < 65536:
            raise UsageError(f"{word!r} is no port")
    return Selector(address & mask, mask, protocol, port)


def _at_end(rest: list[str]) -> None:
    if rest:
        raise UsageError(f"{' '.join(rest)!r} at the end of the line is not understood")


def _end(end: Selector) -> str:
    address = ip.dotted(end.address.to_bytes(4))
    if end.mask == 0xFFFFFFFF:
        text = f"host {address}"
    elif not end.mask:
        text = "any"
    else:
        text = f"{address} {ip.dotted((end.mask ^ 0xFFFFFFFF).to_bytes(4))}"
    return f"{text} eq {end.port}" if end.port else text
