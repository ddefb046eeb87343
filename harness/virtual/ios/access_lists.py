"""The access lists of a configuration, numbered and named, as values; and what a NAT's service sees of one. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from harness.errors import UsageError
from harness.model.wildcards import ALL
from harness.nat.ios.access_list import AccessList as ServiceList
from harness.nat.ios.access_list import Line
from harness.virtual.access_list import AccessList, Entry, parse_extended, parse_standard
from harness.virtual.ios.configuration import Entry as Section

REMARK = "remark"


@dataclass(frozen=True, slots=True)
class Lists:
    """By number or name. `unread` are the lines that say something which is not honoured here: they match nothing."""

    found: Mapping[str, AccessList] = field(default_factory=dict)
    unread: tuple[str, ...] = ()

    def get(self, name: str) -> AccessList:
        """One that is not there permits nothing."""
        return self.found.get(name) or AccessList(name)


def lists(tree: Section) -> Lists:
    found: dict[str, list[Entry]] = {}
    unread = []
    for name, extended, words in _lines(tree):
        entries = found.setdefault(name, [])
        if words[:1] == (REMARK,):
            continue
        try:
            entries.append(parse_extended(words) if extended else parse_standard([one for one in words if one != "log"]))
        except UsageError:
            unread.append(f"access-list {name} {' '.join(words)}")
    return Lists({name: AccessList(name, tuple(entries)) for name, entries in found.items()}, tuple(unread))


def _lines(tree: Section) -> Iterator[tuple[str, bool, tuple[str, ...]]]:
    """(list, whether it is extended, the words of a line)"""
    for entry in tree.find("access-list"):
        yield entry.words[1], int(entry.words[1]) >= 100, entry.words[2:]
    for kind in ("standard", "extended"):
        for section in tree.find(f"ip access-list {kind}"):
            for entry in section.below:
                yield section.words[3], kind == "extended", entry.words


def for_service(found: AccessList, protocol: int, port: int | None = None) -> ServiceList:
    """The lines that may concern packets of that protocol, as addresses alone; towards or from `port`, where one is given."""
    return ServiceList(
        tuple(
            Line(
                one.action == "permit",
                (one.source.address, one.source.mask ^ ALL),
                (one.destination.address, one.destination.mask ^ ALL),
            )
            for one in found.entries
            if one.source.protocol in (0, protocol)
            and (port is None or all(end.port in (0, port) for end in (one.source, one.destination)))
        )
    )
