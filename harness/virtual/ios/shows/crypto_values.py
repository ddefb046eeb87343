"""What the crypto shows print, as values, and who has it to tell: one layout serves every role that has SAs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from harness.virtual.ios.state import State


@dataclass(frozen=True, slots=True)
class MapShown:
    """What the lines of one crypto map entry say. `lifetime` (kilobytes, seconds), None with keys by hand. `permits` None: no list;
    `list_name` "" for one without a name; `current` None: not said. `keys` are the lines of keys set by hand."""

    lifetime: tuple[int, int] | None
    sets: tuple[str, ...]
    pfs: str | None = None
    peers: tuple[str, ...] = ()
    list_name: str = ""
    permits: tuple[str, ...] | None = None
    created: str = ""
    current: str | None = None
    demux: bool = False
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SaShown:
    """One direction of an SA. `pair` counts the pairs that there ever were, from 0. `left`: kilobytes (None: no bound) and seconds
    that are left of its life; None where it has no end. `replay`: whether old packets are told."""

    inbound: bool
    protocol: str
    spi: int
    transform: str
    settings: str
    pair: int
    left: tuple[int | None, int] | None
    iv_octets: int | None
    replay: bool = True


@dataclass(frozen=True, slots=True)
class FlowShown:
    """What one pair of selectors protects, `local` and `remote` as "address/mask/protocol/port". `sent`, `taken`, `wrong` count
    packets. `flags` (12.2's, later ones'). `spi` is that which packets go out by now, 0 for none. `ike_port`: that of the peer's
    which its IKE comes from; `dynamic`: whether a dynamic map has let it in."""

    local: str
    remote: str
    peer: str
    peer_port: int
    flags: tuple[str, str]
    sent: int = 0
    taken: int = 0
    wrong: int = 0
    spi: int = 0
    sas: tuple[SaShown, ...] = ()
    ike_port: int = 500
    dynamic: bool = False


@dataclass(frozen=True, slots=True)
class IkeShown:
    """An ISAKMP SA, or an exchange that has not come to one: `number` counts those that there ever were, from 0, None for none
    yet. `peer_port` is where its messages come from, `identity` its phase-1 ID, "" for none yet; `left_s` seconds that are left
    of its life; `nat`: one lies between."""

    answered: str
    began: str
    state: str
    number: int | None
    peer: str
    local_port: int
    peer_port: int
    identity: str = ""
    left_s: int = 0
    nat: bool = False


@dataclass(frozen=True, slots=True)
class ConnectionShown:
    """A connection of the crypto engine: `number` counts IKE's, or pairs of IPsec's, each from 0; `way` is 0 for what comes in by a
    pair, 1 for what goes out."""

    ike: bool
    number: int
    way: int
    cipher: str
    proof: str
    encrypted: int
    decrypted: int


class CryptoAccount(Protocol):
    """A role's account of its crypto at the moment of asking."""

    @property
    def state(self) -> State: ...

    @property
    def address(self) -> str:
        """Its own towards its peers."""

    def made(self, name: str) -> Iterable[tuple[int, MapShown]]:
        """(sequence number, entry): what live traffic has made in the crypto map of that name."""

    def current_peer(self, name: str, sequence: int) -> str | None:
        """That of a configured entry; None: the first that it names."""

    def flows(self) -> Iterable[FlowShown]: ...

    def ike(self) -> Iterable[IkeShown]: ...

    def connections(self) -> Iterable[ConnectionShown]: ...
