"""What a strongSwan + xl2tpd gateway prints, read: one pure function for each command.

Every function takes the command's text and returns `Rows`: what was understood, and each line that was not. Nothing is dropped
silently: an empty text gives no rows, a truncated one gives the rows that were whole and the rest as `unread`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.devices.rows import Rows


@dataclass(frozen=True, slots=True)
class XfrmState:
    """One SA of `ip -s xfrm state`. Ports are those of the UDP encapsulation, None without it."""

    src: str
    dst: str
    spi: str  # 8 hex digits
    reqid: int
    sport: int | None
    dport: int | None
    mark: int | None  # looked up by (outbound), or stamped on what it decrypts (inbound)
    sequence_in: int
    sequence_out: int
    packets: int | None  # None: the text was asked for without -s
    octets: int | None


@dataclass(frozen=True, slots=True)
class XfrmPolicy:
    """One policy of `ip xfrm policy` with a selector of its own (a socket's bypass policies are not kept)."""

    src: str
    dst: str
    sport: int | None
    dport: int | None
    direction: str
    mark: int | None
    reqid: int | None
    spi: str | None


@dataclass(frozen=True, slots=True)
class Tunnel:
    """xl2tpd's "Connection established". IDs: `local` is the gateway's own."""

    address: str
    port: int
    local: int
    remote: int


@dataclass(frozen=True, slots=True)
class Call:
    """xl2tpd's "Call established", with the tunnel that the ICCN came through."""

    address: str
    pid: int
    local: int
    remote: int
    tunnel: int | None


@dataclass(frozen=True, slots=True)
class Closed:
    """xl2tpd's word that a tunnel is no more, by the gateway's own ID or else by the peer's ID, address and port."""

    local: int | None = None
    remote: int | None = None
    address: str = ""
    port: int = 0

    def ends(self, tunnel: Tunnel) -> bool:
        if self.local is not None:
            return self.local == tunnel.local
        return (self.remote, self.address, self.port) == (tunnel.remote, tunnel.address, tunnel.port)


@dataclass(frozen=True, slots=True)
class PppProcess:
    """One pppd: its interface, and in kernel mode the gateway's own IDs of its tunnel and session."""

    pid: int
    interface: str | None
    tunnel: int | None
    session: int | None
    remote_address: str | None  # the address it is to give to the peer


@dataclass(frozen=True, slots=True)
class DemuxEvent:
    """One line of the updown script's log. `uptime` is the guest's, in seconds."""

    uptime: float
    verb: str
    peer: str
    udp_port: int | None
    mark: int
    port: int
    status: int


def parse_xfrm_state(text: str) -> Rows[XfrmState]:
    """`ip [-s] xfrm state list [nokeys]`."""
    rows: list[XfrmState] = []
    unread: list[str] = []
    for block in _blocks(text, "src ", unread):
        head = re.match(r"src (\S+) dst (\S+)\s", block)
        proto = re.search(r"proto esp spi 0x([0-9a-f]{8})\(\d+\) reqid (\d+)\(", block)
        replay = re.search(r"anti-replay context: seq (0x[0-9a-f]+), oseq (0x[0-9a-f]+)", block)
        if not (head and proto and replay):
            unread += block.splitlines()
            continue
        encapsulation = re.search(r"encap type espinudp sport (\d+) dport (\d+)", block)
        mark = re.search(r"^\t(?:output-)?mark (0x[0-9a-f]+)/", block, re.MULTILINE)
        current = re.search(r"lifetime current:\s+(\d+)\(bytes\), (\d+)\(packets\)", block)
        rows.append(
            XfrmState(
                head[1],
                head[2],
                proto[1],
                int(proto[2]),
                int(encapsulation[1]) if encapsulation else None,
                int(encapsulation[2]) if encapsulation else None,
                int(mark[1], 16) if mark else None,
                int(replay[1], 16),
                int(replay[2], 16),
                int(current[2]) if current else None,
                int(current[1]) if current else None,
            )
        )
    return Rows(tuple(rows), tuple(unread))


def parse_xfrm_policy(text: str) -> Rows[XfrmPolicy]:
    """`ip xfrm policy`."""
    rows: list[XfrmPolicy] = []
    unread: list[str] = []
    for block in _blocks(text, "src ", unread):
        if re.search(r"^\tsocket (in|out) ", block, re.MULTILINE):
            continue
        head = re.match(r"src (\S+) dst (\S+)(?: proto (\S+))?(?: sport (\d+))?(?: dport (\d+))?\s", block)
        direction = re.search(r"^\tdir (in|out|fwd) ", block, re.MULTILINE)
        if not (head and direction):
            unread += block.splitlines()
            continue
        mark = re.search(r"^\tmark (0x[0-9a-f]+)/", block, re.MULTILINE)
        template = re.search(r"proto esp (?:spi 0x([0-9a-f]{8}) )?reqid (\d+)", block)
        rows.append(
            XfrmPolicy(
                head[1],
                head[2],
                int(head[4]) if head[4] else None,
                int(head[5]) if head[5] else None,
                direction[1],
                int(mark[1], 16) if mark else None,
                int(template[2]) if template else None,
                template[1] if template else None,
            )
        )
    return Rows(tuple(rows), tuple(unread))


RECEIVED = re.compile(r"recv packet from (\S+), size = \d+, tunnel = (\d+), call = (\d+)")
ESTABLISHED = re.compile(r"Connection established to (\S+), (\d+)\.\s+Local: (\d+), Remote: (\d+)")
CALLED = re.compile(r"Call established with (\S+), PID: (\d+), Local: (\d+), Remote: (\d+)")

CLOSED_BY_PEER = re.compile(r"Connection closed to (\S+), port (\d+) .*Local: (\d+), Remote: (\d+)")
CLOSED = re.compile(r"Connection (\d+) closed to (\S+), port (\d+)")
DESTROYED = re.compile(r"(?:closing down tunnel|Unable to deliver closing message for tunnel) (\d+)")


def parse_xl2tpd(text: str) -> Rows[Tunnel | Call | Closed]:
    """xl2tpd's log, or the lines of it about tunnels and calls. `unread` are lines that speak of one and could not be read.

    A call's line does not name its tunnel. The line before it that says which packet came in does (debug network = yes).
    """
    rows: list[Tunnel | Call | Closed] = []
    unread: list[str] = []
    last: tuple[int, int] | None = None
    for line in text.splitlines():
        if match := RECEIVED.search(line):
            last = (int(match[2]), int(match[3]))
        elif match := ESTABLISHED.search(line):
            rows.append(Tunnel(match[1], int(match[2]), int(match[3]), int(match[4])))
        elif match := CALLED.search(line):
            local = int(match[3])
            tunnel = last[0] if last is not None and last[1] == local else None
            rows.append(Call(match[1], int(match[2]), local, int(match[4]), tunnel))
        elif match := CLOSED_BY_PEER.search(line):
            rows.append(Closed(local=int(match[3])))
        elif match := CLOSED.search(line):
            rows.append(Closed(remote=int(match[1]), address=match[2], port=int(match[3])))
        elif match := DESTROYED.search(line):
            rows.append(Closed(local=int(match[1])))
        elif re.search(r"Connection (established|\d+ closed|closed to \S+ port)|Call established", line):
            unread.append(line)
    return Rows(tuple(rows), tuple(unread))


def parse_pppd(text: str) -> Rows[PppProcess]:
    """`PID command line` of every pppd, then `/run/pppN.pid PID` of every interface."""
    interfaces: dict[int, str] = {}
    commands: dict[int, str] = {}
    unread: list[str] = []
    for line in filter(str.strip, text.splitlines()):
        if match := re.fullmatch(r"/run/(ppp\d+)\.pid (\d+)", line.strip()):
            interfaces[int(match[2])] = match[1]
        elif match := re.match(r"(\d+) \S*pppd (.*)", line):
            commands[int(match[1])] = match[2]
        else:
            unread.append(line)
    rows = []
    for pid, command in sorted(commands.items()):
        tunnel = re.search(r"pppol2tp_tunnel_id (\d+)", command)
        session = re.search(r"pppol2tp_session_id (\d+)", command)
        address = re.search(r"(?:^|\s)[\d.]+:([\d.]+)(?:\s|$)", command)
        rows.append(
            PppProcess(
                pid,
                interfaces.get(pid),
                int(tunnel[1]) if tunnel else None,
                int(session[1]) if session else None,
                address[1] if address else None,
            )
        )
    return Rows(tuple(rows), tuple(unread))


def parse_addresses(text: str) -> Rows[tuple[str, str, str | None]]:
    """`ip -o -4 address`: (interface, own address, the peer's on a point-to-point link)."""
    rows: list[tuple[str, str, str | None]] = []
    unread: list[str] = []
    for line in filter(str.strip, text.splitlines()):
        if match := re.match(r"\d+: (\S+)\s+inet ([\d.]+)(?:/\d+)?(?: peer ([\d.]+)(?:/\d+)?)? ", line):
            rows.append((match[1], match[2], match[3]))
        else:
            unread.append(line)
    return Rows(tuple(rows), tuple(unread))


def parse_links(text: str) -> Rows[tuple[int, str]]:
    """`ip -o link` and `ip -o monitor link`: (index, name) of every interface, each time that it is told of."""
    rows: list[tuple[int, str]] = []
    unread: list[str] = []
    for line in filter(str.strip, text.splitlines()):
        if match := re.match(r"(?:Deleted )?(\d+): ([^\s:@]+)(?:@[^\s:]+)?: ", line):
            rows.append((int(match[1]), match[2]))
        else:
            unread.append(line)
    return Rows(tuple(rows), tuple(unread))


def parse_demux_log(text: str) -> Rows[DemuxEvent]:
    """The log of the demux variant's updown script."""
    pattern = re.compile(r"([\d.]+) (\S+) peer=(\S+) udp=(\d+|none) mark=(\d+) reqid=\d+ port=(\d+) status=(\d+)")
    rows: list[DemuxEvent] = []
    unread: list[str] = []
    for line in filter(str.strip, text.splitlines()):
        if match := pattern.fullmatch(line):
            udp_port = None if match[4] == "none" else int(match[4])
            rows.append(DemuxEvent(float(match[1]), match[2], match[3], udp_port, int(match[5]), int(match[6]), int(match[7])))
        else:
            unread.append(line)
    return Rows(tuple(rows), tuple(unread))


def parse_demux_filters(text: str) -> Rows[tuple[int, int]]:
    """`tc filter show dev demux0 egress`: (mark, translated port) of every client whose way out is installed."""
    rows: list[tuple[int, int]] = []
    unread: list[str] = []
    for block in _blocks(text, "filter ", unread):
        handle = re.match(r"filter .* flower .*handle (0x[0-9a-f]+)", block)
        if handle is None:  # a filter list's own line, or the way in, which the way out's mark stands for
            if " flower " not in block and " fw " not in block:
                unread += block.splitlines()
            continue
        port = re.search(r"^\s+dst_port (\d+)$", block, re.MULTILINE)
        if port is None:
            unread += block.splitlines()
        else:
            rows.append((int(handle[1], 16), int(port[1])))
    return Rows(tuple(rows), tuple(unread))


def _blocks(text: str, start: str, unread: list[str]) -> list[str]:
    """Split into blocks that begin with a line starting with `start`; lines before the first are `unread`."""
    blocks: list[list[str]] = []
    for line in text.splitlines():
        if line.startswith(start):
            blocks.append([line])
        elif blocks:
            blocks[-1].append(line)
        elif line.strip():
            unread.append(line)
    return ["\n".join(block) + "\n" for block in blocks]
