"""`show crypto ipsec sa`, also with interface, map, peer, vrf and detail.

Layouts: 12.2 ("local addr. …", "current_peer: …", "slot: 0, conn id: 2000", SPI of the peer without 0x), 12.3 and 12.4 ("protected
vrf", "current_peer … port 500", "ike_cookies", "Status: ACTIVE"), 15 and IOS-XE ("sibling_flags", "plaintext mtu").
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from harness.devices.ios.reading import read
from harness.devices.rows import Rows


@dataclass(frozen=True, slots=True)
class Selector:
    """One end of what is protected: address, mask, IP protocol number (0: any) and port (0: any)."""

    address: str
    mask: str
    protocol: int
    port: int


@dataclass(frozen=True, slots=True)
class Sa:
    """One SA of one direction. `spi` 8 hex digits in small letters. `settings` as printed ("Transport", "UDP-Encaps"; "Tunnel").
    `left_kb`, `left_s`: what is left of its life, in kilobytes and seconds; None where it has no such bound. `attributes` is what
    has no field, by name."""

    direction: str
    protocol: str
    spi: str
    transform: str
    settings: tuple[str, ...]
    conn_id: int
    crypto_map: str | None = None
    left_kb: int | None = None
    left_s: int | None = None
    iv_octets: int | None = None
    replay_detection: bool | None = None
    status: str | None = None
    attributes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Flow:
    """What one pair of selectors protects, with its SAs. Counters are packets since the flow is there: `encaps`, `encrypts`,
    `digests` outbound, `decaps`, `decrypts`, `verifies` inbound, `send_errors`, `receive_errors`; `counters` are all of them by the
    device's names. `outbound_spi` as in Sa, "00000000" where there is none. MTUs in octets."""

    interface: str | None
    crypto_map: str | None
    local_address: str | None
    vrf: str | None
    local: Selector
    remote: Selector
    peer: str | None
    peer_port: int | None
    flags: tuple[str, ...] = ()
    encaps: int | None = None
    encrypts: int | None = None
    digests: int | None = None
    decaps: int | None = None
    decrypts: int | None = None
    verifies: int | None = None
    send_errors: int | None = None
    receive_errors: int | None = None
    local_endpoint: str | None = None
    remote_endpoint: str | None = None
    path_mtu: int | None = None
    outbound_spi: str | None = None
    pfs: bool | None = None
    sas: tuple[Sa, ...] = ()
    counters: tuple[tuple[str, int], ...] = ()
    attributes: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class _Draft:
    lines: list[str]
    fields: dict[str, object] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)
    attributes: list[tuple[str, str]] = field(default_factory=list)
    sas: list[dict[str, object]] = field(default_factory=list)
    heading: tuple[str, str] | None = None
    headings: set[tuple[str, str]] = field(default_factory=set)

    def whole(self) -> bool:
        """The last heading is there, and every SA has what each layout shows."""
        ended = ("outbound", "pcp") in self.headings
        return ended and {"local", "remote"} <= set(self.fields) and all(set(_SA_NEEDS) <= set(sa) for sa in self.sas)


_INTERFACE = re.compile(r"\s*interface: (\S+)\s*")
_TAG = re.compile(r"\s*Crypto map tag: (.+?), local addr\.? ?(\S+)\s*")
_VRF = re.compile(r"\s*protected vrf: ?(\S+)\s*")
_IDENT = re.compile(r"\s*(local|remote)\s+ident \(addr/mask/prot/port\): \(([^/()\s]+)/([^/()\s]+)/(\d{1,3})/(\d{1,5})\)\s*")
_PEER = re.compile(r"\s*current_peer:? ?([^\s:]\S*?)(?:(?: port |:)(\d{1,5}))?\s*")
_FLAGS = re.compile(r"\s*(?:PERMIT|DENY), flags=\{([^}]*)\}\s*")
_COUNTER = re.compile(r"#{1,2}([a-z][\w. ()]*?)(?:: ?| )(\d{1,20})\s*(?:,\s*|$)")
_ENDPOINTS = re.compile(r"\s*(?:local crypto endpt\.: ?(\S+?),\s*)?(?:remote crypto endpt\.: ?(\S+?)\s*)?")
_MTU = re.compile(r"\s*(?:plaintext mtu (\d{1,6}), )?path mtu (\d{1,6})(?:, (.*?))?\s*")
_CURRENT = re.compile(r"\s*current outbound spi: ?(?:0x)?([0-9A-Fa-f]{1,8})(?:\(\d{1,10}\))?\s*")
_PFS = re.compile(r"\s*PFS \(Y/N\): ([YN]), DH group: ([^\s,]+)(?:, (.+?))?\s*")
_HEADING = re.compile(r"\s*(inbound|outbound) (esp|ah|pcp) sas:\s*")
_SPI = re.compile(r"\s*spi: ?0x([0-9A-Fa-f]{1,8}) ?\(\d{1,10}\)\s*")
_SA_LINES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("transform", re.compile(r"\s*transform: ?(.+?)\s*,?\s*")),
    ("settings", re.compile(r"\s*in use settings ?= ?\{([^}]*)\}\s*")),
    ("conn", re.compile(r"\s*(?:slot: ?(\d{1,5}), )?conn id: ?(\d{1,10}), flow_id: ?([^,]+?)"
                        r"(?:, sibling_flags ([0-9A-Fa-f]+))?, crypto map: ?(.+?)\s*")),
    ("left", re.compile(r"\s*sa timing: ?remaining key lifetime \(k/sec\): ?\((\d{1,12})/(\d{1,10})\)\s*")),
    ("left_s", re.compile(r"\s*sa timing: ?remaining key lifetime \(sec\): ?\(?(\d{1,10})\)?\s*")),
    ("unlimited", re.compile(r"\s*(no sa timing|sa timing: .*?|Kilobyte Volume Rekey has been disabled)\s*")),
    ("iv", re.compile(r"\s*IV size: (\d{1,4}) bytes\s*")),
    ("replay", re.compile(r"\s*replay detection support: ([YN])(?: +replay window size: (\d{1,6}))?\s*")),
    ("status", re.compile(r"\s*Status: (.+?)\s*")),
    ("other", re.compile(r"\s*(ike_cookies|initiator|interface|crypto engine type|linked SAs|Group)[: ] ?(.+?)\s*")),
)  # fmt: skip
_SA_NEEDS = ("transform", "settings", "conn_id")
_NOTHING = re.compile(r"\s*No SAs found\.?\s*", re.IGNORECASE)
_COUNTERS = {
    "pkts encaps": "encaps", "pkts encrypt": "encrypts", "pkts digest": "digests", "pkts decaps": "decaps",
    "pkts decrypt": "decrypts", "pkts verify": "verifies", "send errors": "send_errors", "recv errors": "receive_errors",
}  # fmt: skip


def parse_ipsec_sa(text: str) -> Rows[Flow]:
    """Rows are Flow. One that does not come to "outbound pcp sas:" is not whole, and its lines are unread."""
    found = read(text)
    drafts: list[_Draft] = []
    unread: list[str] = []
    interface: str | None = None
    tag: tuple[str, str] | None = None
    vrf: tuple[str, str] | None = None
    for line in found.lines:
        if not line or line.isspace():
            continue
        now = drafts[-1] if drafts else None
        if (match := _INTERFACE.fullmatch(line)) and (now is None or now.heading is None or ("outbound", "pcp") in now.headings):
            interface, tag, vrf = match[1], None, None
        elif match := _TAG.fullmatch(line):
            tag = (match[1], match[2])
        elif match := _VRF.fullmatch(line):
            vrf = (match[1], line)
        elif (match := _IDENT.fullmatch(line)) and match[1] == "local":
            now = _Draft([*([vrf[1]] if vrf else []), line])
            now.fields |= {"interface": interface, "crypto_map": tag[0] if tag else None, "local_address": tag[1] if tag else None}
            now.fields |= {"vrf": None if vrf is None or vrf[0] == "(none)" else vrf[0], "local": _selector(match)}
            vrf = None
            drafts.append(now)
        elif now is not None and _take(now, line):
            now.lines.append(line)
        elif _NOTHING.fullmatch(line):
            interface = None
        else:
            unread.append(line)
    rows = []
    for draft in drafts:
        if draft.whole():
            rows.append(_flow(draft))
        else:
            unread += draft.lines
    cut = ""
    if vrf is not None:
        unread.append(vrf[1])
        cut = "nothing follows the last protected vrf"
    elif drafts and not drafts[-1].whole():
        cut = "the SAs of the last flow do not come to their end"
    elif interface is not None and (not drafts or drafts[-1].fields["interface"] != interface):
        cut = f"nothing follows interface {interface}"
    return found.rows(rows, unread, cut)


def _selector(match: re.Match[str]) -> Selector:
    return Selector(match[2], match[3], int(match[4]), int(match[5]))


def _spi(digits: str) -> str:
    return f"{int(digits, 16):08x}"


def _take(draft: _Draft, line: str) -> bool:
    if match := _HEADING.fullmatch(line):
        draft.heading = (match[1], match[2])
        draft.headings.add(draft.heading)
        return True
    if draft.heading is not None:
        return _take_sa(draft, draft.heading, line)
    fields = draft.fields
    if line.lstrip().startswith("#"):
        return _take_counters(draft, line.strip())
    if match := _IDENT.fullmatch(line):
        fields["remote"] = _selector(match)
    elif match := _PEER.fullmatch(line):
        fields |= {"peer": match[1], "peer_port": int(match[2]) if match[2] else None}
    elif match := _FLAGS.fullmatch(line):
        fields["flags"] = tuple(filter(None, match[1].replace(" ", "").split(",")))
    elif match := _ENDPOINTS.fullmatch(line):
        fields |= {name: end for name, end in zip(("local_endpoint", "remote_endpoint"), match.groups(), strict=True) if end}
    elif match := _MTU.fullmatch(line):
        fields["path_mtu"] = int(match[2])
        draft.attributes += [("plaintext mtu", match[1])] if match[1] else []
        draft.attributes += [_named(one) for one in (match[3] or "").split(", ") if one]
    elif match := _CURRENT.fullmatch(line):
        fields["outbound_spi"] = _spi(match[1])
    elif match := _PFS.fullmatch(line):
        fields["pfs"] = match[1] == "Y"
        draft.attributes.append(("DH group", match[2]))
        more = [one.partition(": ") for one in (match[3] or "").split(", ") if one]
        draft.attributes += [(name, value) for name, _, value in more]
    else:
        return False
    return True


def _named(text: str) -> tuple[str, str]:
    name, _, value = text.rpartition(" ")
    return (name, value)


def _take_counters(draft: _Draft, line: str) -> bool:
    position = 0
    taken: list[tuple[str, int]] = []
    while position < len(line):
        match = _COUNTER.match(line, position)
        if match is None:
            return False
        taken.append((match[1].strip(), int(match[2])))
        position = match.end()
    draft.counters |= dict(taken)
    return True


def _take_sa(draft: _Draft, heading: tuple[str, str], line: str) -> bool:
    if match := _SPI.fullmatch(line):
        draft.sas.append({"direction": heading[0], "protocol": heading[1], "spi": _spi(match[1]), "attributes": []})
        return True
    if not draft.sas or (draft.sas[-1]["direction"], draft.sas[-1]["protocol"]) != heading:
        return False
    sa = draft.sas[-1]
    others = sa["attributes"]
    assert isinstance(others, list)
    for name, pattern in _SA_LINES:
        if (match := pattern.fullmatch(line)) is None:
            continue
        if name == "settings":
            sa["settings"] = tuple(word for words in match[1].split(",") for word in words.split())
        elif name == "conn":
            sa |= {"conn_id": int(match[2]), "crypto_map": match[5]}
            named = zip(("slot", "flow_id", "sibling_flags"), match.group(1, 3, 4), strict=True)
            others += [(key, value) for key, value in named if value]
        elif name == "left":
            sa |= {"left_kb": int(match[1]), "left_s": int(match[2])}
        elif name == "left_s":
            sa["left_s"] = int(match[1])
        elif name == "iv":
            sa["iv_octets"] = int(match[1])
        elif name == "replay":
            sa["replay_detection"] = match[1] == "Y"
            others += [("replay window size", match[2])] if match[2] else []
        elif name in ("transform", "status"):
            sa[name] = match[1]
        elif name == "unlimited":
            others.append(("sa timing", match[1]))
        else:
            others.append((match[1], match[2]))
        return True
    return False


def _flow(draft: _Draft) -> Flow:
    fields = {"peer": None, "peer_port": None} | draft.fields
    fields |= {ours: draft.counters[theirs] for theirs, ours in _COUNTERS.items() if theirs in draft.counters}
    sas = tuple(Sa(**{**sa, "attributes": tuple(sa["attributes"])}) for sa in draft.sas)  # type: ignore[arg-type]
    return Flow(**fields, sas=sas, counters=tuple(draft.counters.items()), attributes=tuple(draft.attributes))  # type: ignore[arg-type]
