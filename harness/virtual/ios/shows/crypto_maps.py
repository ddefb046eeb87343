"""`show crypto map [interface X | tag N]` and `show crypto dynamic-map [tag N]`: the configured entries, and those that live
traffic has made, in the layouts of 12.2 (the sample of L2TP Security) and of 12.4.

What a release prints of `set nat demux` no public document shows; here it is one line, "NAT demux: enabled".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.virtual.ios import meaning
from harness.virtual.ios.configuration import Entry
from harness.virtual.ios.grammar import Match
from harness.virtual.ios.numbers import before_12_4
from harness.virtual.ios.shows.crypto_values import CryptoAccount, MapShown

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_TEMPORARY = 65536
"""The number of the first entry that a dynamic map has made."""


def crypto_map(account: CryptoAccount, match: Match) -> list[str]:
    tree = account.state.configuration.tree
    applied: dict[str, list[str]] = {}
    for entry in tree.find("interface"):
        if name := entry.value("crypto map"):
            applied.setdefault(name, []).append(entry.words[1])
    names = list(dict.fromkeys(entry.words[2] for entry in tree.find("crypto map") if entry.words[3].isdecimal()))
    if wanted := match.get("tag", ""):
        names = [name for name in names if name == wanted]
    if interface := match.get("interface", ""):
        names = [name for name in names if interface in applied.get(name, [])]
    old = before_12_4(account.state.release)
    lines: list[str] = []
    for name in names:
        lines += _map(account, tree, name, old)
        lines += [_in(1, old, f"Interfaces using crypto map {name}:"), *(_in(2, old, one) for one in applied.get(name, []))]
        lines.append("")
    return lines or ["No crypto maps found."]


def dynamic_map(account: CryptoAccount, match: Match) -> list[str]:
    tree, wanted = account.state.configuration.tree, match.get("tag", "")
    lines: list[str] = []
    old = before_12_4(account.state.release)
    for entry in tree.find("crypto dynamic-map"):
        if wanted in ("", entry.words[2]):
            lines.append(f'Crypto Map Template"{entry.words[2]}" {entry.words[3]}')
            lines += [*_body(_configured(tree, entry), old), ""]
    return lines or ["No crypto map templates found."]


SHOWS: Mapping[str, Callable[[CryptoAccount, Match], list[str]]] = {
    "show crypto map [interface IFNAME:interface | tag WORD:tag]": crypto_map,
    "show crypto dynamic-map [tag WORD:tag]": dynamic_map,
}


def _map(account: CryptoAccount, tree: Entry, name: str, old: bool) -> Iterator[str]:
    entries: list[tuple[int, str, list[str]]] = []
    for entry in tree.find(f"crypto map {name}"):
        if not entry.words[3].isdecimal():
            continue
        sequence, kind = int(entry.words[3]), entry.words[4]
        if "dynamic" in entry.words[5:6]:
            body = [_in(1, old, f"Dynamic map template tag: {entry.words[6]}")]
        else:
            shown = _configured(tree, entry)
            if (peer := account.current_peer(name, sequence)) is not None:
                shown = replace(shown, current=peer)
            body = _body(shown, old)
        entries.append((sequence, kind, body))
    entries += [(sequence, "ipsec-isakmp", _body(one, old)) for sequence, one in account.made(name)]
    for n, (sequence, kind, body) in enumerate(sorted(entries, key=lambda one: one[0])):
        if n:
            yield ""
        yield f'Crypto Map "{name}" {sequence} {kind}'
        yield from body


def _configured(tree: Entry, entry: Entry) -> MapShown:
    peers = tuple(one.words[2] for one in entry.find("set peer"))
    name = entry.value("match address")
    template = entry.words[1] == "dynamic-map"
    profile, manual = entry.words[5:6] == ("profile",), entry.words[4:5] == ("ipsec-manual",)
    if profile:  # what it has of these counts for nothing
        peers, name = (), None
    return MapShown(
        None if manual else lifetime(tree, entry),
        tuple((entry.value("set transform-set") or "").split()),
        entry.value("set pfs"),
        peers,
        name or "",
        None if name is None else tuple(_list(tree, name)),
        current=None if template else (peers[0] if peers else "0.0.0.0"),
        demux=entry.has("set nat demux"),
        keys=tuple(_keys(entry)) if manual else (),
    )


def _keys(entry: Entry) -> Iterator[str]:
    """What is set by hand; without it the SPI is 0 and keys are empty."""
    for way in ("inbound", "outbound"):
        esp = (entry.value(f"set session-key {way} esp") or "0").split()
        ah = (entry.value(f"set session-key {way} ah") or "0").split()
        yield f"{way.capitalize()} esp spi: {esp[0]},"
        yield f" cipher key: {esp[2] if len(esp) > 2 else ''},"
        yield f" auth_key: {esp[4] if len(esp) > 4 else ''},"
        yield f"{way.capitalize()} ah spi: {ah[0]},"
        yield f"    key: {ah[1] if len(ah) > 1 else ''},"


def lifetime(tree: Entry, entry: Entry) -> tuple[int, int]:
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


def _body(shown: MapShown, old: bool) -> list[str]:
    gap = "" if old else " "
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
    if shown.lifetime is not None:
        kilobytes, seconds = shown.lifetime
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
    lines += shown.keys
    return [_in(1, old, line) for line in lines]
