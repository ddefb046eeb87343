"""`show crypto map [interface X | tag N]` and `show crypto dynamic-map [tag N]`: the configured entries, and those that live
traffic has made, in the layouts of 12.2 (the sample of L2TP Security) and of 12.4.

What a release prints of `set nat demux` no public document shows; here it is one line, "NAT demux: enabled".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.virtual.ios import meaning
from harness.virtual.ios.configuration import Entry
from harness.virtual.ios.grammar import Match
from harness.virtual.ios.numbers import before_12_4
from harness.virtual.vpdn.maps import MapEntry

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.virtual.ios.router import IosRouter

FIRST_TEMPORARY = 65536
"""The number of the first entry that a dynamic map has made."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What the lines of one entry say. `permits` None: no list; `list_name` "" for one without a name; `current` None: not said."""

    lifetime: tuple[int, int]
    sets: tuple[str, ...]
    pfs: str | None = None
    peers: tuple[str, ...] = ()
    list_name: str = ""
    permits: tuple[str, ...] | None = None
    created: str = ""
    current: str | None = None
    demux: bool = False


def crypto_map(router: IosRouter, match: Match) -> list[str]:
    tree = router.state.configuration.tree
    applied: dict[str, list[str]] = {}
    for entry in tree.find("interface"):
        if name := entry.value("crypto map"):
            applied.setdefault(name, []).append(entry.words[1])
    names = list(dict.fromkeys(entry.words[2] for entry in tree.find("crypto map") if entry.words[3].isdecimal()))
    if wanted := match.get("tag", ""):
        names = [name for name in names if name == wanted]
    if interface := match.get("interface", ""):
        names = [name for name in names if interface in applied.get(name, [])]
    old = before_12_4(router.state.release)
    lines: list[str] = []
    for name in names:
        lines += _map(router, tree, name, old)
        lines += [_in(1, old, f"Interfaces using crypto map {name}:"), *(_in(2, old, one) for one in applied.get(name, []))]
        lines.append("")
    return lines or ["No crypto maps found."]


def dynamic_map(router: IosRouter, match: Match) -> list[str]:
    tree, wanted = router.state.configuration.tree, match.get("tag", "")
    lines: list[str] = []
    old = before_12_4(router.state.release)
    for entry in tree.find("crypto dynamic-map"):
        if wanted in ("", entry.words[2]):
            lines.append(f'Crypto Map Template"{entry.words[2]}" {entry.words[3]}')
            lines += [*_body(_configured(tree, entry), old), ""]
    return lines or ["No crypto map templates found."]


SHOWS: Mapping[str, Callable[[IosRouter, Match], list[str]]] = {
    "show crypto map [interface IFNAME:interface | tag WORD:tag]": crypto_map,
    "show crypto dynamic-map [tag WORD:tag]": dynamic_map,
}


def _map(router: IosRouter, tree: Entry, name: str, old: bool) -> Iterator[str]:
    entries: list[tuple[int, list[str]]] = []
    for entry in tree.find(f"crypto map {name}"):
        if not entry.words[3].isdecimal():
            continue
        if "dynamic" in entry.words[5:6]:
            body = [_in(1, old, f"Dynamic map template tag: {entry.words[6]}")]
        else:
            body = _body(_configured(tree, entry), old)
        entries.append((int(entry.words[3]), body))
    entries += [(one.sequence, _body(_clone(one), old)) for one in router.core.ipsec.maps if one.map_name == name and one.flow]
    temporary = _temporary(router, tree, name)
    entries += [(FIRST_TEMPORARY + n, _body(one, old)) for n, one in enumerate(temporary)]
    for n, (sequence, body) in enumerate(sorted(entries, key=lambda one: one[0])):
        if n:
            yield ""
        yield f'Crypto Map "{name}" {sequence} ipsec-isakmp'
        yield from body


def _configured(tree: Entry, entry: Entry) -> Shown:
    peers = tuple(one.words[2] for one in entry.find("set peer"))
    name = entry.value("match address")
    template = entry.words[1] == "dynamic-map"
    profile = entry.words[5:6] == ("profile",)
    if profile:  # what it has of these counts for nothing
        peers, name = (), None
    return Shown(
        _lifetime(tree, entry),
        tuple((entry.value("set transform-set") or "").split()),
        entry.value("set pfs"),
        peers,
        name or "",
        None if name is None else tuple(_list(tree, name)),
        current=None if template else (peers[0] if peers else "0.0.0.0"),
        demux=entry.has("set nat demux"),
    )


def _clone(entry: MapEntry) -> Shown:
    life = entry.lifetime_kb, entry.lifetime_s
    return Shown(life, entry.sets, entry.pfs, (entry.peer,), "", (str(entry.flow),), current=entry.peer)


def _temporary(router: IosRouter, tree: Entry, name: str) -> Iterator[Shown]:
    """An entry for each peer's socket that a dynamic map has let in."""
    outside = next((one for one in tree.find("interface") if one.value("crypto map") == name), None)
    dynamic = [entry.words[6] for entry in tree.find(f"crypto map {name}") if "dynamic" in entry.words[5:6]]
    templates = [one for tag in dynamic for one in tree.find(f"crypto dynamic-map {tag}")]
    if outside is None or not templates or router.core.settings.vpdn is not None:
        return
    known = {one.line: one for one in meaning.map_entries(tree, name)}
    for client in router.core.ipsec.clients.values():
        sa = next(reversed(client.sas.values()), None)
        if sa is None or sa.spi_in not in router.core.ipsec.agreed:
            continue
        up = router.core.ipsec.agreed[sa.spi_in][0]
        pair = up.encryption, up.authentication

        def fits(entry: Entry, pair: tuple[str, str] = pair) -> bool:
            return any((one.encryption, one.authentication) == pair for one in known[entry.line].esp)

        entry = next((one for one in templates if fits(one)), templates[0])
        here = router.core.settings.address
        permit = f"permit udp host {here} port = 1701 host {client.address} port = {sa.port}"
        yield Shown(
            _lifetime(tree, entry),
            tuple((entry.value("set transform-set") or "").split()),
            entry.value("set pfs"),
            (client.address,),
            "",
            (permit,),
            f"{entry.words[2]}/{entry.words[3]}",
            client.address,
            entry.has("set nat demux"),
        )


def _lifetime(tree: Entry, entry: Entry) -> tuple[int, int]:
    """(kilobytes, seconds), the entry's own or everybody's."""
    own, everywhere = f"set {meaning.LIFETIME}", f"crypto ipsec {meaning.LIFETIME}"
    kilobytes = entry.value(f"{own} kilobytes") or tree.value(f"{everywhere} kilobytes") or "4608000"
    seconds = entry.value(f"{own} seconds") or tree.value(f"{everywhere} seconds") or "3600"
    return int(kilobytes), int(seconds)


def _list(tree: Entry, name: str) -> Iterator[str]:
    """An access list's lines without its name."""
    yield from (" ".join(one.words[2:]) for one in tree.find(f"access-list {name}"))
    for made in tree.find(f"ip access-list extended {name}"):
        yield from (one.line for one in made.below)


def _in(depth: int, old: bool, text: str) -> str:
    return (" " * 8 if old else "\t") * depth + text


def _body(shown: Shown, old: bool) -> list[str]:
    gap = "" if old else " "
    kilobytes, seconds = shown.lifetime
    lines = [f"Peer = {peer}" for peer in shown.peers]
    if shown.permits is None:
        lines.append("No matching address list set.")
    else:
        lines.append(f"Extended IP access list {shown.list_name}".rstrip() if old else f"Extended IP access list {shown.list_name}")
        named = f"access-list {shown.list_name}".rstrip() + ("" if old or shown.list_name else " ")
        lines += [f"    {named} {permit}" for permit in shown.permits]
    if shown.created:
        lines.append(f"    dynamic (created from dynamic map {shown.created})")
    if shown.current is not None:
        lines.append(f"Current peer:{gap}{shown.current}")
    lines.append(f"Security association lifetime:{gap}{kilobytes} kilobytes/{seconds} seconds")
    lines.append(f"PFS (Y/N):{gap}{'Y' if shown.pfs else 'N'}")
    if shown.pfs:
        lines.append(f"DH group:  {shown.pfs}")
    if shown.demux:
        lines.append("NAT demux: enabled")
    if old:
        lines.append(f"Transform sets={{ {''.join(f'{name}, ' for name in shown.sets)}}}")
    else:
        lines += ["Transform sets={ ", *(f"\t{name}, " for name in shown.sets), "}"]
    return [_in(1, old, line) for line in lines]
