"""The kernel's NAT, as text: its rules and settings, and the lines by which conntrack tells of its mappings. Pure.

`masquerade to :1024-65535`, not the plain form: that one keeps source ports below 512 below 512, so that client 512 from port 500
finds none left.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from harness.model.evidence import NatMapping

TABLE = "ip natstorm"
SETTINGS = {
    "net/ipv4/ip_forward": "1",
    # A NAT box does not tell hosts of one link about each other, nor answer for what it has no route to.
    "net/ipv4/conf/all/send_redirects": "0",
    "net/ipv4/conf/default/send_redirects": "0",
    "net/netfilter/nf_conntrack_acct": "1",
}
FOLLOWING = ("net/ipv4/conf/all/accept_redirects", "net/ipv4/conf/*/forwarding")
"""What the kernel sets by itself whenever ip_forward changes: to be put back after that."""
UDP_TIMEOUT = "net/netfilter/nf_conntrack_udp_timeout"
UDP_STREAM_TIMEOUT = "net/netfilter/nf_conntrack_udp_timeout_stream"

_PAIR = re.compile(r"(src|dst|sport|dport|packets|bytes)=(\S+)")
_LINE = re.compile(r"(?P<protocol>\w+)\s+\d+\s+(?P<left>\d+)\s+(?P<rest>.*)")
_DELETED = re.compile(r"(\d+) flow entries have been deleted")
_SHOWN = re.compile(r"(\d+) flow entries have been shown")


@dataclass(frozen=True, slots=True)
class Entry(NatMapping):
    """One row of the table. `answered`: something came back; `expires_s`: seconds until it is forgotten if nothing more passes. The
    packet counts are None where the kernel keeps none."""

    answered: bool
    expires_s: int
    packets_up: int | None = None
    packets_down: int | None = None


def rules(outside_interface: str, client_prefix: str, first: int, last: int) -> str:
    """For `nft -f -`: one transaction, so that there is no moment without the rule. The first chain that translates a connection
    decides, so this one comes before those at the usual priority: a box may have rules of somebody's."""
    return (
        f"table {TABLE}\n"
        f"delete table {TABLE}\n"
        f"table {TABLE} {{\n"
        "  chain translate {\n"
        "    type nat hook postrouting priority srcnat - 1; policy accept;\n"
        f'    oifname "{outside_interface}" ip saddr {client_prefix} meta l4proto {{ tcp, udp }}'
        f" masquerade to :{first}-{last}\n"
        f'    oifname "{outside_interface}" ip saddr {client_prefix} masquerade\n'
        "  }\n"
        "}\n"
    )


def timeouts(seconds: int, stream_seconds: int | None = None) -> dict[str, str]:
    """The settings by which a UDP mapping outlives its last packet: before an answer was seen, and after (default: the same)."""
    return {UDP_TIMEOUT: str(seconds), UDP_STREAM_TIMEOUT: str(seconds if stream_seconds is None else stream_seconds)}


def entries(lines: Iterable[str]) -> tuple[Entry, ...]:
    """Those of the lines that are entries with ports, by inside address and port."""
    found = [entry for line in lines if (entry := parse(line)) is not None]
    return tuple(sorted(found, key=lambda m: (tuple(map(int, m.inside_address.split("."))), m.inside_port, m.remote_port)))


def parse(line: str) -> Entry | None:
    """One line of `conntrack -L`; None for a protocol without ports, and for what is no such line, or not all of it.

    `udp 17 28 src=10.0.0.2 dst=203.0.113.231 sport=500 dport=500 packets=1 bytes=68 [UNREPLIED] src=203.0.113.231
    dst=203.0.113.232 sport=500 dport=1024 packets=0 bytes=0 mark=0 use=1`: the tuple as it came, then the one an answer will have.
    """
    match = _LINE.match(line)
    if match is None:
        return None
    pairs = _PAIR.findall(match["rest"])
    half = next((number for number, (key, _) in enumerate(pairs) if number and key == "src"), len(pairs))
    out, back = dict(pairs[:half]), dict(pairs[half:])
    if not {"src", "dst", "sport", "dport"} <= out.keys() & back.keys():
        return None
    return Entry(
        match["protocol"],
        out["src"],
        int(out["sport"]),
        back["dst"],
        int(back["dport"]),
        out["dst"],
        int(out["dport"]),
        "[UNREPLIED]" not in match["rest"],
        int(match["left"]),
        int(out["packets"]) if "packets" in out else None,
        int(back["packets"]) if "packets" in back else None,
    )


def astray(found: Iterable[Entry], outside: str, ranges: Iterable[tuple[int, int]], own: Collection[str]) -> Entry | None:
    """The first entry whose outside is not `outside` with a port of one of the `ranges` (first, last); None where there is none.
    What is sent to an address in `own`, the NAT's, is not translated."""
    ports = tuple(ranges)
    for entry in found:
        inside = any(first <= entry.outside_port <= last for first, last in ports)
        if entry.remote_address not in own and not (entry.outside_address == outside and inside):
            return entry
    return None


def deleted(text: str) -> int | None:
    """How many entries `conntrack -D` says that it has deleted; None where it says nothing of the kind."""
    return _told(_DELETED, text)


def shown(text: str) -> int | None:
    """The same for `conntrack -L`, of the entries that it has shown."""
    return _told(_SHOWN, text)


def _told(count: re.Pattern[str], text: str) -> int | None:
    found = count.search(text)
    return None if found is None else int(found[1])
