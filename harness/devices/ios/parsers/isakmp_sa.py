"""`show crypto isakmp sa` and `show crypto isakmp sa detail`.

Layouts: 12.2 ("dst src state conn-id slot", with "f_vrf/i_vrf" before where there are VRFs), 12.3 and 12.4 (a status behind),
15 and IOS-XE ("IPv4 Crypto ISAKMP SA", no slot, the IPv6 table without headings). The detailed view: with and without I-VRF and
status.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from harness.devices.ios.reading import read, seconds
from harness.devices.rows import Rows


@dataclass(frozen=True, slots=True)
class IsakmpSa:
    """One phase-1 SA. `state` is "QM_IDLE", "MM_KEY_EXCH" …; `status` "ACTIVE", "STDBY", None where the layout has none; `deleted`
    that it is marked as gone. `vrf` is the layout's "front/inside"."""

    dst: str
    src: str
    state: str
    conn_id: int
    slot: int | None = None
    status: str | None = None
    deleted: bool = False
    vrf: str | None = None


@dataclass(frozen=True, slots=True)
class IsakmpSaDetail:
    """One phase-1 SA as the detailed view has it. `left_s` is what is left of its life, in seconds; `capabilities` are letters:
    C mode configuration, D dead-peer detection, K keepalives, N NAT traversal, X extended authentication. `engine` names the
    connection within its engine ("SW:1")."""

    conn_id: int
    local: str
    remote: str
    encryption: str
    hash: str
    authentication: str
    group: int
    left_s: int | None
    status: str | None = None
    vrf: str | None = None
    capabilities: str = ""
    engine: str | None = None


_ADDRESS = r"[0-9A-Fa-f]{0,4}[.:][0-9A-Fa-f.:]+"
_ROW = re.compile(
    rf"\s*(?:(\S*/\S*)\s+)?({_ADDRESS})\s+({_ADDRESS})\s+([A-Z][A-Z0-9_]+)\s+(\d{{1,10}})"
    r"(?:\s+(\d{1,5}))?(?:\s+([A-Z]+)(?:\s+\((deleted)\))?)?\s*"
)
_DETAIL = re.compile(
    rf"\s*(\d{{1,10}})\s+({_ADDRESS})\s+({_ADDRESS})\s+(?:([\w.:-]+)\s+)??(?:(ACTIVE|STDBY|STANDBY|DELETED)\s+)?"
    r"([a-z0-9][a-z0-9-]*(?: \d{3})?)\s+([a-z][a-z0-9]*)\s+([A-Za-z][\w-]*)\s+(\d{1,3})\s+(\d{1,4}:\d\d:\d\d|0)(?:\s+([A-Z]+))?\s*"
)
_ENGINE = re.compile(r"\s*(?:Engine-id:Conn-id|Connection-id:Engine-id)\s*=\s*(\S+)\s*")
_HEADINGS = re.compile(
    r"\s*(?:IPv[46] Crypto ISAKMP SA|(?:f_vrf/i_vrf\s+)?dst\s+src\s+state\s+conn-id(?:\s+slot)?(?:\s+status)?|"
    r"C-id\s+Local\s+Remote\s+.*|Codes: .*|[A-Z] - [\w -]+(?:, [A-Z] - [\w -]+)*|[a-z]+ - [\w -]+(?:, [a-z]+ - [\w -]+)*|"
    r"There are no ISAKMP SAs)\s*"
)


def parse_isakmp_sa(text: str) -> Rows[IsakmpSa]:
    """Rows are IsakmpSa."""
    found = read(text)
    rows: list[IsakmpSa] = []
    unread: list[str] = []
    for line in found.lines:
        if match := _ROW.fullmatch(line):
            vrf, dst, src, state, conn_id, slot, status, deleted = match.groups()
            slot_number = None if slot is None else int(slot)
            rows.append(IsakmpSa(dst, src, state, int(conn_id), slot_number, status, deleted is not None, vrf))
        elif line.strip() and not _HEADINGS.fullmatch(line):
            unread.append(line)
    return found.rows(rows, unread)


def parse_isakmp_sa_detail(text: str) -> Rows[IsakmpSaDetail]:
    """Rows are IsakmpSaDetail. `cut` where the last SA lacks the line on its engine that those before it have."""
    found = read(text)
    rows: list[IsakmpSaDetail] = []
    unread: list[str] = []
    for line in found.lines:
        if match := _DETAIL.fullmatch(line):
            conn_id, local, remote, vrf, status, encryption, digest, how, group, left, capabilities = match.groups()
            rows.append(
                IsakmpSaDetail(
                    int(conn_id), local, remote, encryption, digest, how, int(group), seconds(left), status, vrf, capabilities or ""
                )
            )
        elif rows and rows[-1].engine is None and (match := _ENGINE.fullmatch(line)):
            rows[-1] = replace(rows[-1], engine=match[1])
        elif line.strip() and not _HEADINGS.fullmatch(line):
            unread.append(line)
    lacking = len(rows) > 1 and rows[-1].engine is None and all(row.engine is not None for row in rows[:-1])
    return found.rows(rows, unread, "the engine of the last SA is not told" if lacking else "")
