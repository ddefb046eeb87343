"""What a configuration asks for that the router which reads it does not do, since that is another role's, or nobody's here. Pure;
told in sentences, which `State.tell_unheeded` logs. What a role does not do of its own lines its plan says itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from harness.virtual.ios.configuration import Entry

WIRE, NAT, ENDPOINT = "LAC, LNS or gateway", "NAT", "VPN endpoint"
PROCESS: Mapping[str, str] = {WIRE: "--wire", NAT: "--role nat", ENDPOINT: "--role endpoint"}
"""How natstorm-ios is told to be it."""

GLOBAL: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("ip nat", (NAT,), "translates nothing"),
    ("vpdn-group", (WIRE,), "serves nobody"),
    ("bba-group", (WIRE,), "serves nobody"),
    ("router rip", (WIRE,), "tells nobody of routes"),
    ("router ospf", (), "tells nobody of routes"),
    ("ip dhcp pool", (), "serves nobody"),
    ("snmp-server", (), "answers nobody"),
)
"""(the words with which lines begin, the roles that heed them, what they do in another)."""
ON_INTERFACES: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("ip nat", (NAT,), "translates nothing"),
    ("crypto map", (WIRE, ENDPOINT), "protects nothing"),
    ("pppoe enable", (WIRE,), "serves nobody"),
    ("ip access-group", (), "filters nothing"),
    ("ip policy", (), "routes nothing"),
    ("half-duplex", (), "changes nothing"),
    ("duplex half", (), "changes nothing"),
)
"""The same below interfaces."""


def unheeded(tree: Entry, role: str) -> Iterator[str]:
    """A sentence for each kind of lines, which names the first of them."""
    for words, heeding, what in GLOBAL:
        if role not in heeding and (found := tree.find(words)):
            yield _said(found[0].line, "", len(found), what, heeding, role)
    interfaces = tree.find("interface")
    for words, heeding, what in ON_INTERFACES:
        lines = [(line, one.words[1]) for one in interfaces for line in one.find(words)]
        if role not in heeding and lines:
            yield _said(lines[0][0].line, f" on {lines[0][1]}", len(lines), what, heeding, role)


def _said(line: str, where: str, count: int, what: str, heeding: tuple[str, ...], role: str) -> str:
    more = f", the first of {count} such lines," if count > 1 else ""
    others = " or ".join(f"a {one} ({PROCESS[one]})" for one in heeding)
    why = f"this router is a {role} ({PROCESS[role]}), and that takes {others}" if heeding else "no virtual router does that"
    return f"`{line}`{where}{more} {what}: {why}"
