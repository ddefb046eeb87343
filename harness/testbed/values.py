"""What a value in a testbed file may be: one function each, from what YAML or pyATS gives to what the model holds.

Each raises BadValue with the problem and the cure; where it stands in the file is the caller's to say.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
import urllib.parse
from pathlib import Path
from typing import Any

from harness.model.secret import Secret

_INTERFACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")
_PORT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9./:_-]{0,63}")
_MAX_PORT = 65535

_HARNESS = Path(__file__).resolve().parents[1]
_REAL_CLIENT = "real-linux"
"""A client that is a machine of its own: it has no file, it is what it is."""


_NOBODYS = {
    "0.0.0.0/8": "for machines without one",
    "127.0.0.0/8": "within each machine",
    "224.0.0.0/4": "for groups",
    "240.0.0.0/4": "reserved",
}
"""Addresses that no machine has on a link (RFC 6890, RFC 5771)."""
_LARGEST = 8
"""The prefix length of the largest private network (RFC 1918). What is larger is no lab."""


class BadValue(Exception):
    def __init__(self, problem: str, cure: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.cure = cure


def text(value: Any) -> str:
    """Text that is not empty. A number is taken as its digits, since YAML reads an unquoted 1234 as one; one that YAML spells
    otherwise does not come here."""
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        raise BadValue(f"{value!r} is not a text", "write a word, in quotes where in doubt")
    return str(value)


def address(value: Any) -> str:
    """An IPv4 address that a machine can have."""
    try:
        parsed = ipaddress.IPv4Address(str(value))
    except ValueError as error:
        raise BadValue(f"{value!r} is not an IPv4 address ({error})", "four numbers from 0 to 255, as in 203.0.113.231") from error
    return _somebodys(parsed)


def _somebodys(address: ipaddress.IPv4Address) -> str:
    for network, whose in _NOBODYS.items():
        if address in ipaddress.IPv4Network(network):
            raise BadValue(f"{address} is no machine's address on a link: {network} is {whose}", "one as in 203.0.113.231")
    return str(address)


def interface_address(value: Any) -> str:
    """An IPv4 address with its prefix length, a host's and not the network's own."""
    try:
        if "/" not in str(value):
            raise ValueError("the prefix length is missing")
        parsed = ipaddress.IPv4Interface(str(value))
    except ValueError as error:
        raise BadValue(f"{value!r} is not an IPv4 address with prefix length ({error})", "as in 203.0.113.231/24") from error
    _somebodys(parsed.ip)
    network = parsed.network
    if network.prefixlen < 31 and parsed.ip in (network.network_address, network.broadcast_address):
        raise BadValue(f"{value} is no host's address in {network}", f"choose one between the ends of {network}")
    return str(parsed)


def prefix(value: Any) -> str:
    """An IPv4 network whose addresses machines can have."""
    try:
        parsed = ipaddress.IPv4Network(str(value))
    except ValueError as error:
        cure = "as in 10.0.0.0/24, with no bits below the prefix length"
        raise BadValue(f"{value!r} is not an IPv4 prefix ({error})", cure) from error
    if parsed.prefixlen < _LARGEST:
        much = "more than any lab has" if parsed.prefixlen else "every address there is"
        raise BadValue(f"{parsed} is {much}, and no limit", "the networks of the lab, as in 203.0.113.0/24")
    _somebodys(parsed.network_address)
    return str(parsed)


def ports(value: Any) -> tuple[int, int]:
    """"FIRST-LAST", both UDP ports."""
    match = re.fullmatch(r"(\d{1,5})-(\d{1,5})", str(value))
    first, last = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= first <= last <= _MAX_PORT:
        raise BadValue(f"{value!r} is not a range of ports", "as in 1024-65535, the lower one first")
    return first, last


def addresses(value: Any) -> tuple[str, str]:
    """"FIRST-LAST", both IPv4 addresses."""
    parts = str(value).split("-")
    if len(parts) != 2:
        raise BadValue(f"{value!r} is not a range of addresses", "as in 172.16.1.10-172.16.1.200")
    first, last = address(parts[0].strip()), address(parts[1].strip())
    if ipaddress.IPv4Address(first) > ipaddress.IPv4Address(last):
        raise BadValue(f"{value!r} runs backwards", "the lower address comes first")
    return first, last


def count(value: Any) -> int:
    """A whole number from 1. As text it is what %ENV{} gives."""
    number = _number(value)
    if number is None or number < 1:
        raise BadValue(f"{value!r} is not a whole number from 1", "as in 30")
    return number


def number(value: Any) -> int:
    """A whole number from 0."""
    found = _number(value)
    if found is None or found < 0:
        raise BadValue(f"{value!r} is not a whole number from 0", "as in 0")
    return found


def flag(value: Any) -> bool:
    """true or false. As text it is what %ENV{} gives."""
    found = {"true": True, "false": False}.get(value) if isinstance(value, str) else value
    if not isinstance(found, bool):
        raise BadValue(f"{value!r} is neither true nor false", "true or false")
    return found


def _number(value: Any) -> int | None:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def port(value: Any) -> int:
    """A TCP port."""
    number = _number(value)
    if number is None or not 1 <= number <= _MAX_PORT:
        raise BadValue(f"{value!r} is not a TCP port", f"a number from 1 to {_MAX_PORT}, as in 22")
    return number


def machine_address(value: Any) -> str:
    """The address at which a device is reached, IPv4 or IPv6; this machine's own may be one, where a port is forwarded. A name is
    not taken: what it means depends on who asks, and when."""
    try:
        parsed = ipaddress.ip_address(str(value))
    except ValueError as error:
        raise BadValue(f"{value!r} is not an IP address", "the address itself, as in 10.99.0.2, and no name") from error
    if parsed.is_unspecified or parsed.is_multicast:
        raise BadValue(f"{parsed} is no device's address", "the one at which it is reached, as in 10.99.0.2")
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is None:
            return str(parsed)
        parsed = parsed.ipv4_mapped  # the same machine, so that it is not taken for another
    return str(parsed) if parsed.is_loopback else _somebodys(parsed)


def secret(value: Any) -> Secret:
    """A text that is never shown: not in a mistake either."""
    if value == "":
        raise BadValue("'' is not a text", "write the secret in quotes, or %ENV{NAME}")
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise BadValue("this is not a text", "write the secret in quotes")
    if not str(value).isprintable():
        raise BadValue("a secret with a line break, or another character that nobody can type", "write it on one line, in quotes")
    return Secret(str(value))


def url(value: Any) -> str:
    """http or https, a host, perhaps a port; without credentials, which have a place of their own."""
    try:
        parts = urllib.parse.urlsplit(str(value))
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if "@" in str(value):
        raise BadValue("a URL with a user or password in it", "they stand below testbed.credentials")
    if not good:
        raise BadValue(f"{value!r} is not the URL of a server", "as in http://192.168.1.5:3080")
    return str(value).rstrip("/")


def choice(value: Any, known: tuple[str, ...]) -> str:
    """One of `known`."""
    if value not in known:
        shown = repr(value) if isinstance(value, str | int | float | None) else "this"
        raise BadValue(f"{shown} is not known", f"one of {', '.join(known)}")
    return str(value)


def interface_name(value: Any) -> str:
    """A network card of this machine, or of another Linux."""
    if not isinstance(value, str) or not _INTERFACE.fullmatch(value):
        raise BadValue(f"{value!r} cannot be an interface's name", "1 to 15 letters, digits, dots, dashes or underscores")
    return value


def machines_own(value: Any) -> str:
    """An interface of this machine, or an address of it. What is meant for an address and is none is not taken for a name: it would
    protect nothing."""
    told = text(value)
    try:
        return str(ipaddress.ip_address(told))
    except ValueError as error:
        if _INTERFACE.fullmatch(told) and not re.fullmatch(r"[0-9.]+", told):
            return told
        cure = "as in eth0 or 10.99.0.1"
        raise BadValue(f"{told!r} is neither an interface of this machine nor an IP address", cure) from error


def port_name(value: Any) -> str:
    """An interface as its own device names it: "GigabitEthernet0/1.10" is one."""
    if not isinstance(value, str) or not _PORT_NAME.fullmatch(value):
        raise BadValue(f"{value!r} cannot be an interface's name", "1 to 64 letters, digits and any of . / : _ -, as in Gi0/1")
    return value


def client_personalities() -> tuple[str, ...]:
    """What the clients can be: one of the files in harness/clients/personalities, or a real machine."""
    return (*_names("clients"), _REAL_CLIENT)


def nat_personalities() -> tuple[str, ...]:
    """What the NAT can be: one of the files in harness/nat/personalities."""
    return _names("nat")


def _names(room: str) -> tuple[str, ...]:
    """What the files say is read, and judged, by the room itself; here only the names count."""
    return tuple(sorted(file.stem for file in (_HARNESS / room / "personalities").glob("*.yaml")))


def personality(value: Any, names: tuple[str, ...]) -> str:
    """One of `names`."""
    name = text(value)
    if name not in names:
        close = difflib.get_close_matches(name, names, n=1, cutoff=0.7)
        cure = f"did you mean {close[0]!r}?" if close else f"one of {', '.join(names)}"
        raise BadValue(f"there is no personality {name!r}", cure)
    return name
