"""`show crypto sockets`: what applications (tunnel protection, L2TP security) have IPsec protect, and for what they listen.

One layout, 12.3T to IOS-XE. The peers may stand on two lines, as Cisco's documents break them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from harness.devices.ios.parsers.ipsec_sa import Selector
from harness.devices.ios.reading import read
from harness.devices.rows import Rows


@dataclass(frozen=True, slots=True)
class CryptoSocket:
    """One socket between `local` and `remote`. `interface` as printed ("Tu0", "Fa0/0"; "Shd" where several share it). `state` is
    "Open" or "Closed"; `client` the application ("TUNNEL SEC", "L2X Security"), `client_state` its own ("Active")."""

    interface: str
    local: str
    remote: str
    local_ident: Selector
    remote_ident: Selector
    state: str
    client: str
    client_state: str
    profile: str | None = None
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CryptoListener:
    """An application that waits for peers to begin."""

    client: str
    profile: str
    map_name: str


@dataclass(slots=True)
class _Draft:
    lines: list[str]
    fields: dict[str, object] = field(default_factory=dict)

    def socket(self) -> CryptoSocket | None:
        """None where a line of it is missing."""
        return CryptoSocket(**self.fields) if set(self.fields) >= _NEEDED else None  # type: ignore[arg-type]


_IP = r"(\d{1,3}(?:\.\d{1,3}){3})"
_NUMBER = re.compile(r"\s*Number of Crypto Socket connections:? (\d{1,6})\s*")
_PEERS = re.compile(rf"\s+(\S+) Peers \(local/remote\): {_IP}(?:/{_IP})?\s*")
_REST = re.compile(rf"\s*/{_IP}\s*")
_IDENT = re.compile(rf"\s+(Local|Remote) Ident\s+\(addr/mask/port/prot\): \({_IP}/{_IP}/(\d{{1,5}})/(\d{{1,3}})\)\s*")
_FLAGS = re.compile(r"\s+Flags:\s*(.*?)\s*")
_PROFILE = re.compile(r'\s+IPSec Profile: "([^"]*)"\s*', re.IGNORECASE)
_STATE = re.compile(r"\s+Socket State: (\w+)\s*")
_CLIENT = re.compile(r'\s+Client: "([^"]*)" \(Client State: (\w+)\)\s*')
_LISTENING = re.compile(r"\s*Crypto Sockets in Listen state:\s*")
_LISTENER = re.compile(r'\s*Client: "([^"]*)" Profile: "([^"]*)" Map-name:? "([^"]*)"\s*')
_NEEDED = {"interface", "local", "remote", "local_ident", "remote_ident", "state", "client", "client_state"}


def parse_crypto_sockets(text: str) -> Rows[CryptoSocket | CryptoListener]:
    """Rows are CryptoSocket, then CryptoListener. A socket that does not come to its client's line is not whole, and its lines are
    unread."""
    found = read(text)
    rows: list[CryptoSocket | CryptoListener] = []
    unread: list[str] = []
    told: int | None = None
    now: _Draft | None = None
    for line in found.lines:
        if not line.strip() or _LISTENING.fullmatch(line):
            continue
        if match := _NUMBER.fullmatch(line):
            told = int(match[1])
        elif match := _LISTENER.fullmatch(line):
            rows.append(CryptoListener(*match.groups()))
        elif match := _PEERS.fullmatch(line):
            unread += now.lines if now is not None else []
            now = _Draft([line], {"interface": match[1], "local": match[2], **({"remote": match[3]} if match[3] else {})})
        elif now is not None and _take(now, line):
            now.lines.append(line)
            if "client" in now.fields:
                socket = now.socket()
                if socket is None:
                    unread += now.lines
                else:
                    rows.append(socket)
                now = None
        else:
            unread.append(line)
    unread += now.lines if now is not None else []
    count = sum(isinstance(row, CryptoSocket) for row in rows)
    cut = ""
    if now is not None:
        cut = "the last socket does not come to its end"
    elif told is not None and count < told:
        cut = f"it tells of {told} sockets, and shows {count}"
    return found.rows(rows, unread, cut)


def _take(draft: _Draft, line: str) -> bool:
    fields = draft.fields
    if match := _REST.fullmatch(line):
        if "remote" in fields:
            return False
        fields["remote"] = match[1]
    elif match := _IDENT.fullmatch(line):
        fields[f"{match[1].lower()}_ident"] = Selector(match[2], match[3], int(match[5]), int(match[4]))
    elif match := _FLAGS.fullmatch(line):
        fields["flags"] = tuple(match[1].replace(",", " ").split())
    elif match := _PROFILE.fullmatch(line):
        fields["profile"] = match[1]
    elif match := _STATE.fullmatch(line):
        fields["state"] = match[1]
    elif match := _CLIENT.fullmatch(line):
        fields |= {"client": match[1], "client_state": match[2]}
    else:
        return False
    return True
