"""Whether lines would cut off the way by which a router is managed: found out before the first of them is typed. Pure.

What is known of that way is in `logins.Way`. The lines are followed one by one (`typed.Typing`), and what stands in the way after
each is compared with what stood in it before: what is there already cut nothing off.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from harness.devices.ios import logins
from harness.devices.ios.access import DENY, PERMIT, judged
from harness.devices.ios.configurations import Section
from harness.devices.ios.logins import Way
from harness.devices.ios.parsers.configured import masked
from harness.devices.ios.parsers.users import LineUser
from harness.devices.ios.typed import Typing, lines_below
from harness.model.reach import Connection

Network = ipaddress.IPv4Network
PORT_OF = {"ssh": 22, "telnet": 23}


@dataclass(frozen=True, slots=True)
class Cut:
    """A line, and in a sentence's words what it would do. `at_once`: to the session that types it, and not only to the next."""

    line: str
    why: str
    at_once: bool = True

    def __str__(self) -> str:
        return f"the line {masked(self.line)!r} {self.why}"


def way(connection: Connection, own: LineUser | None) -> Way:
    """By which a connection has come in; `own` is the session's row of `show users`."""
    line = own.line if own is not None else "vty 0"
    source = own.location if own is not None and _is_address(own.location) else None
    address, port = connection.host, connection.port
    if connection.own_address is not None:
        address, port = connection.own_address, PORT_OF[connection.protocol]
    return Way(address if _is_address(address) else None, source, connection.protocol, port, line, connection.username)


def _is_address(text: str | None) -> bool:
    try:
        ipaddress.IPv4Address(text or "")
    except ValueError:
        return False
    return True


def interface_of(config: Section, address: str | None) -> str | None:
    """The interface that has the address; None where none has."""
    for head, below in config.items():
        if head.startswith("interface ") and any(words[:1] == [address] for words in lines_below(below, "ip address")):
            return head.removeprefix("interface ")
    return None


def cuts(config: Section, lines: Iterable[str], way: Way) -> Iterator[Cut]:
    """What the lines would cut off, in their order."""
    typing = Typing(config)
    interface = interface_of(config, way.address) if way.by_ip else None
    before = _obstacles(config, config, way, interface)
    over = False
    for line in lines:
        if over and line.strip():
            yield Cut(line, "would be no configuration: the configuration mode has been left by then")
            continue
        opened = typing.opened
        negative, command, rest = typing.line(line)
        over = line.split() == ["end"]
        if why := _by_itself(line, opened, negative, command, rest, way, interface):
            yield Cut(line, why, at_once=command != "crypto key zeroize")
        after = _obstacles(typing.config, config, way, interface)
        for what, (why, at_once) in after.items():
            if what not in before:
                yield Cut(line, why, at_once)
        before = after


Obstacles = Mapping[str, tuple[str, bool]]
"""What stands in the way: by a key of its own, what the line that put it there does, and whether at once."""


def _obstacles(now: Section, first: Section, way: Way, interface: str | None) -> Obstacles:
    found: dict[str, tuple[str, bool]] = {}
    if way.by_ip:
        if interface is not None:
            found |= {key: (why, True) for key, why in _of_interface(now, way, interface)}
        found |= {key: (why, True) for key, why in _of_routes(now, first, way, interface)}
    found |= {key: (why, False) for key, why in logins.by_user(now, first, way)}
    for key, why in logins.by_line(now, first, way):
        found[key] = (why, "list" in key)
    return found


# --- the interface ---


def _of_interface(now: Section, way: Way, interface: str) -> Iterator[tuple[str, str]]:
    is_by = f"{interface}, by whose address {way.address} it is managed"
    below = now.get(f"interface {interface}")
    if below is None or interface_of({f"interface {interface}": below}, way.address) is None:
        yield "address", f"would take the address {way.address} away, by which it is managed ({interface})"
        return
    whole = interface.partition(".")[0]
    for name in dict.fromkeys((interface, whole)):
        if "shutdown" in now.get(f"interface {name}", {}):
            yield f"shutdown {name}", f"would shut down {is_by}"
    for words in lines_below(below, "ip access-group"):
        # What a router sends itself passes no list on its way out.
        if words[-1:] == ["in"] and DENY in judged(now, words[0], way.packet):
            yield f"list in {words[0]}", f"would have access list {words[0]} keep the session with this client off {is_by}"
    for words in lines_below(below, "crypto map"):
        for name in _lists_of(now, words[0]):
            if PERMIT in judged(now, name, way.packet.answer, without=DENY):
                why = f"would have crypto map {words[0]} ask for IPsec of the session with this client, by access list {name}"
                yield f"map {words[0]} {name}", f"{why}, on {is_by}"


def _lists_of(now: Section, name: str) -> Iterator[str]:
    """The access lists of a crypto map, and of the dynamic maps in it."""
    for head, below in now.items():
        words = head.split()
        if words[:3] == ["crypto", "map", name]:
            for rest in lines_below(below, "match address"):
                yield rest[0]
            if "dynamic" in words[:-1]:
                inner = words[words.index("dynamic") + 1]
                for other, beneath in now.items():
                    if other.split()[:3] == ["crypto", "dynamic-map", inner]:
                        for rest in lines_below(beneath, "match address"):
                            yield rest[0]


# --- routes ---


def _of_routes(now: Section, first: Section, way: Way, interface: str | None) -> Iterator[tuple[str, str]]:
    client = "this client" if way.source is None else f"the client {way.source}"
    was, is_now = _ways(first, way, interface), _ways(now, way, interface)
    if was and not was & is_now:
        yield "route", f"would take away the route by which {client} is answered ({'; '.join(sorted(was))})"
    elif not was and is_now and way.source is not None and interface is not None:
        yield "route", f"would answer {client} by another way ({'; '.join(sorted(is_now))})"
    if "no ip routing" in now and "no ip routing" not in first:
        yield "routing", f"would route no answer to {client}"


def _ways(config: Section, way: Way, interface: str | None) -> frozenset[str]:
    """The best of what is configured for packets to the client: connected networks and static routes. Where the client's address is
    not known, the default routes."""
    vrf = _vrf(config.get(f"interface {interface}", {})) if interface else ""
    found = list(_routes(config, vrf))
    if way.source is None:
        return frozenset(what for network, _, what in found if network.prefixlen == 0)
    client = ipaddress.IPv4Address(way.source)
    fitting = [(-network.prefixlen, distance, what) for network, distance, what in found if client in network]
    best = min((one[:2] for one in fitting), default=None)
    return frozenset(what for *rank, what in fitting if tuple(rank) == best)


def _vrf(below: Section) -> str:
    return next((words[0] for name in ("ip vrf forwarding", "vrf forwarding") for words in lines_below(below, name) if words), "")


def _routes(config: Section, vrf: str) -> Iterator[tuple[Network, int, str]]:
    for head, below in config.items():
        if head.startswith("interface ") and _vrf(below) == vrf and "shutdown" not in below:
            for words in lines_below(below, "ip address"):
                if (network := _network(words)) is not None:
                    yield network, 0, f"{head.removeprefix('interface ')} {network}"
    for words in lines_below(config, "ip route"):
        own = ""
        if words[:1] == ["vrf"]:
            own, words = " ".join(words[1:2]), words[2:]
        if own == vrf and (network := _network(words)) is not None:
            distance = int(words[-1]) if len(words) > 3 and words[-1].isdecimal() else 1
            yield network, distance, f"ip route {' '.join(words)}"


def _network(words: list[str]) -> Network | None:
    try:
        return Network((words[0], words[1]), strict=False)
    except (ValueError, IndexError):
        return None


# --- lines that no configuration shows ---


def _by_itself(
    line: str, opened: str | None, negative: bool, command: str, rest: list[str], way: Way, interface: str | None
) -> str | None:
    """What a line does whatever the configuration is."""
    words = line.split()
    if words[:1] == ["do"]:
        return "would be no configuration: what the privileged mode is to do is asked for by `execute`"
    if way.by_ip and way.protocol == "ssh":
        if command == "crypto key zeroize":
            return "would take the keys of the SSH server away"
        if command == "ip ssh" and (negative or rest[:1] == ["port"]):
            return "would change the SSH server, by which it is managed"
        if command == "hostname" and negative:
            return None
    if interface is None:
        return None
    if opened == f"interface {interface}" and command in ("encapsulation", "bridge-group", "channel-group", "switchport"):
        return f"would change what {interface} is, by whose address {way.address} it is managed"
    if command == "ip nat inside source static" and not negative and _takes_over(rest, way, interface):
        return f"would have NAT take what is sent to {way.address}, by which it is managed"
    return None


def _takes_over(rest: list[str], way: Way, interface: str) -> bool:
    """Whether a static translation catches the session: `tcp LOCAL PORT {interface X | GLOBAL} PORT`, or `LOCAL GLOBAL`."""
    at = " ".join(rest)
    ours = way.address in rest[1:] or f"interface {interface}" in at
    if rest[:1] == ["tcp"]:
        return ours and str(way.port) in rest[4:]
    return ours and rest[:1] not in (["udp"], ["esp"])
