"""`show crypto map [interface X | tag T]` and `show crypto dynamic-map [tag T]`.

Layouts: 11.3-12.0 (a line a map that names interface and local address; the list's addresses on lines of their own), 12.2-12.4
("Transform sets={ esp, }", `Peer = …`, "Interfaces using crypto map"), 15 and IOS-XE ("Crypto Map IPv4", the algorithms of each
set).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from harness.devices.ios.reading import read
from harness.devices.rows import Rows


@dataclass(frozen=True, slots=True)
class CryptoMapEntry:
    """One entry. `kind` is "ipsec-isakmp", "ipsec-manual" …, and "template" for an entry of a dynamic map. `access_list` is a
    list's number or name, "" for the nameless list of an entry that was made on demand, None where there is no list ("No
    matching address list set."). `permits` are the list's lines without "access-list NAME". `current_peer` is "0.0.0.0" where
    there is none yet. `lifetime_kb` kilobytes, `lifetime_s` seconds. `algorithms` are those of each transform set, where the
    layout tells them, else "". `dynamic` is the dynamic map that the entry stands for, `created_from` the "NAME/NUMBER" that a
    temporary entry came from. `nat_demux` is None where nothing is said of it. `attributes` is what has no field, by name; a
    key is `***` in it."""

    name: str
    sequence: int
    kind: str
    peers: tuple[str, ...] = ()
    access_list: str | None = None
    permits: tuple[str, ...] = ()
    current_peer: str | None = None
    lifetime_kb: int | None = None
    lifetime_s: int | None = None
    pfs: bool | None = None
    group: str | None = None
    transform_sets: tuple[str, ...] = ()
    algorithms: tuple[str, ...] = ()
    dynamic: str | None = None
    created_from: str | None = None
    nat_demux: bool | None = None
    incomplete: bool = False
    local_address: str | None = None
    interfaces: tuple[str, ...] = ()
    attributes: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class _Draft:
    name: str
    sequence: int
    kind: str
    lines: list[str]
    fields: dict[str, object] = field(default_factory=dict)
    peers: list[str] = field(default_factory=list)
    permits: list[str] = field(default_factory=list)
    sets: list[tuple[str, str]] = field(default_factory=list)
    attributes: list[tuple[str, str]] = field(default_factory=list)
    within_sets: bool = False
    whole: bool = False

    def entry(self) -> CryptoMapEntry:
        return CryptoMapEntry(
            self.name,
            self.sequence,
            self.kind,
            peers=tuple(self.peers),
            permits=tuple(self.permits),
            transform_sets=tuple(name for name, _ in self.sets),
            algorithms=tuple(algorithms for _, algorithms in self.sets),
            attributes=tuple(self.attributes),
            **self.fields,  # type: ignore[arg-type]
        )


_ENTRY = re.compile(r'\s*Crypto Map(?: (?:IPv4|IPv6))? "([^"]+)" (\d{1,10})(?: ([\w-]+))?\s*')
_TEMPLATE = re.compile(r'\s*Crypto Map Template ?"([^"]+)" (\d{1,10})\s*')
_OF_A_MAP = re.compile(r'\s*Crypto Map: ?"([^"]+)"(?: idb: (\S+))?(?: local address: (\S+))?(?: IKEv2 profile: \S+)?\s*')
_USED_BY = re.compile(r"\s*Interfaces using crypto map (\S+?):?\s*")
_INTERFACE = re.compile(r"\s+([A-Z][\w-]*[\d/.:]*\d)\s*")
_NOTHING = re.compile(r"\s*%?\s*No (?:dynamic )?crypto maps? (?:found|configured|templates? found)\.?\s*", re.IGNORECASE)

_PEER = re.compile(r"\s+Peer ?= ?(\S+)\s*")
_PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("permit", re.compile(r"\s*access-list(?: +\S+)?? +((?:permit|deny) .*?)\s*")),
    ("permit_end", re.compile(r"\s+((?:source|dest): +addr = .*?)\s*")),
    ("list", re.compile(r"\s*Extended IP(?:v6)? access list ?(\S*)\s*")),
    ("no_list", re.compile(r"\s*No matching address list set\.?\s*")),
    ("current", re.compile(r"\s*Current peer: ?(\S+)\s*")),
    ("life", re.compile(r"\s*Security[ -]association lifetime: ?(?:(\d{1,12}) kilobytes/)?(\d{1,10}) seconds\s*")),
    ("pfs", re.compile(r"\s*PFS \(Y/N\): ?([YN])\s*")),
    ("group", re.compile(r"\s*DH group: +(\S+)\s*")),
    ("sets", re.compile(r"\s*Transform sets? ?= ?\{(.*)")),
    ("dynamic", re.compile(r"\s*Dynamic map template tag: ?(\S+)\s*")),
    ("created", re.compile(r"\s*dynamic \(created from dynamic map (\S+?)\)\s*")),
    ("incomplete", re.compile(r"\s*WARNING: This crypto map is in an incomplete state!.*|\s*\(missing [\w -]+ definitions\)\s*")),
    ("demux", re.compile(r"\s*(?:.*\W)?demux\b(.*)", re.IGNORECASE)),
    ("attribute", re.compile(r"\s+([A-Z][\w -]{0,40}\w(?: \(Y/N\))?) ?[:=](?: +(.*?))?\s*")),
    ("key", re.compile(r"\s+((?:cipher |auth_|auth )?key) ?:(.*)")),
    ("note", re.compile(r"\s+(Map is a PROFILE INSTANCE\.?|Always create SAs|Extended IP access check (?:IN|OUT) list \S+)\s*")),
)  # fmt: skip
_SET = re.compile(r"\s*([\w.-]+)(?: ?: *\{([^{}]*)\})?\s*(?:,|$|(?=\}))")


def parse_crypto_map(text: str) -> Rows[CryptoMapEntry]:
    """Rows are CryptoMapEntry: those of `show crypto map`, or of `show crypto dynamic-map`."""
    found = read(text)
    drafts: list[_Draft] = []
    unread: list[str] = []
    used: dict[str, list[str]] = {}
    addresses: dict[str, tuple[str | None, str | None]] = {}
    now: _Draft | None = None
    naming: str | None = None
    for line in found.lines:
        if not line or line.isspace():
            continue
        if match := _ENTRY.fullmatch(line) or _TEMPLATE.fullmatch(line):
            kind = match[3] if match.re is _ENTRY else "template"
            now, naming = _Draft(match[1], int(match[2]), kind or "", [line]), None
            drafts.append(now)
        elif match := _OF_A_MAP.fullmatch(line):
            now = naming = None
            addresses[match[1]] = (match[2], match[3])
        elif match := _USED_BY.fullmatch(line):
            naming = match[1]
            used.setdefault(naming, [])
        elif naming is not None and (match := _INTERFACE.fullmatch(line)):
            used[naming].append(match[1])
        elif now is not None and _take(now, line):
            now.lines.append(line)
        elif not _NOTHING.fullmatch(line):
            unread.append(line)
    rows: list[CryptoMapEntry] = []
    for draft in drafts:
        if draft.whole:
            idb, address = addresses.get(draft.name, (None, None))
            interfaces = used.get(draft.name) or ([idb] if idb else [])
            rows.append(replace(draft.entry(), interfaces=tuple(interfaces), local_address=address))
        else:
            unread += draft.lines
    told_first = any(idb for idb, _ in addresses.values())
    return found.rows(rows, unread, _cut(drafts, used, told_first))


def _cut(drafts: list[_Draft], used: dict[str, list[str]], told_first: bool) -> str:
    """`told_first`: the oldest layout names the interface before the entries, all others behind."""
    if not drafts:
        return ""
    last = drafts[-1]
    if not last.whole:
        return f'entry {last.sequence} of crypto map "{last.name}" does not come to its end'
    lacks = last.kind != "template" and not told_first and last.name not in used
    return f'what interfaces use crypto map "{last.name}" is not told' if lacks else ""


def _take(draft: _Draft, line: str) -> bool:
    """Whether the line says something of this entry."""
    if draft.within_sets:
        return _sets(draft, line)
    if match := _PEER.fullmatch(line):
        draft.peers.append(match[1])
        return True
    for name, pattern in _PATTERNS:
        if match := pattern.fullmatch(line):
            return _sets(draft, match[1]) if name == "sets" else _put(draft, name, match)
    return False


def _put(draft: _Draft, name: str, match: re.Match[str]) -> bool:
    fields = draft.fields
    if name == "permit":
        draft.permits.append(match[1])
    elif name == "permit_end":
        if not draft.permits:
            return False
        draft.permits[-1] += " " + " ".join(match[1].split())
    elif name == "list":
        fields["access_list"] = match[1]
    elif name == "current":
        fields["current_peer"] = match[1]
    elif name == "life":
        fields["lifetime_kb"] = int(match[1]) if match[1] else None
        fields["lifetime_s"] = int(match[2])
    elif name == "pfs":
        fields["pfs"] = match[1] == "Y"
    elif name == "group":
        fields["group"] = match[1]
    elif name == "dynamic":
        fields["dynamic"] = match[1]
        draft.whole = True
    elif name == "created":
        fields["created_from"] = match[1]
    elif name == "incomplete":
        fields["incomplete"] = True
    elif name == "demux":
        fields["nat_demux"] = not re.search(r"\b(?:N|no|disabled|off|false)\b", match[1], re.IGNORECASE)
    elif name == "key":
        draft.attributes.append((match[1], "***" if match[2].strip(" ,") else ""))
    elif name == "attribute":
        draft.attributes.append((match[1], match[2] or ""))
    elif name == "note":
        draft.attributes.append((match[1], ""))
    return True


def _sets(draft: _Draft, text: str) -> bool:
    """The names between the braces, on one line or on several."""
    draft.within_sets = True
    rest = text.strip()
    position = 0
    while position < len(rest):
        if rest[position] in "},":
            if rest[position] == "}":
                draft.within_sets, draft.whole = False, True
                return position == len(rest) - 1
            position += 1
        elif match := _SET.match(rest, position):
            if match.end() == position:
                return False
            draft.sets.append((match[1], " ".join((match[2] or "").split())))
            position = match.end()
        elif rest[position].isspace():
            position += 1
        else:
            draft.within_sets = False
            return False
    return True
