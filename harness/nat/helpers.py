"""What NATs do for IPsec, well meant (RFC 3715 §2): keep port 500 and tell clients apart by cookie, guess whose SPI an ESP packet
bears, or give all of it to one client. Each breaks something for the second client; that is what they are here for.

A helper is asked for every packet of its protocol in place of the ordinary translation, and raises `Dropped` where it has no
answer. `at` is where the transport header begins.
"""

from __future__ import annotations

from typing import Protocol

from harness.nat.headers import IKE, UDP
from harness.nat.state import Dropped, State
from harness.nat.table import Session

COOKIE = 8
"""Bytes of an initiator cookie, with which an ISAKMP header begins (RFC 2408 §3.1)."""
GUESS_S = 10.0
"""How long an ESP helper waits for the answer to a new SPI before another client's may be tried."""


class Helper(Protocol):
    def outward(self, state: State, packet: bytes, at: int) -> Session | None:
        """None: IKE is left to the ordinary translation, what has no ports waits until the helper gives it back."""

    def inward(self, state: State, packet: bytes, at: int) -> Session | None:
        """None: IKE is left to the ordinary translation."""

    def reset(self) -> None:
        """Forgets what it holds beside the table."""


class Refuse:
    """Nothing of the protocol passes: a NAT that knows TCP, UDP and ICMP only."""

    def outward(self, state: State, packet: bytes, at: int) -> Session:
        raise Dropped("protocol")

    inward = outward

    def reset(self) -> None:
        """It holds nothing."""


class SingleClient:
    """Towards one remote address there is one client, who keeps its port if the protocol has one: the first that came, until it has
    been silent for the timer's length, or the last (`newest`). With protocol 50 and `newest` off it is what a kernel does that
    tracks by address alone."""

    def __init__(self, newest: bool) -> None:
        self.newest = newest

    def outward(self, state: State, packet: bytes, at: int) -> Session:
        protocol, ports, port = _ports_of(packet, at)
        leaving, coming = packet[12:20] + ports, packet[16:20] + state.outside + ports
        owner = state.table.find_coming(state.now, protocol, coming)
        if owner is not None:
            if owner.leaving == leaving:
                return owner
            if not self.newest:
                raise Dropped("another client's")
            state.table.remove(owner.binding)
        return state.establish(protocol, leaving, coming, port, port)

    def inward(self, state: State, packet: bytes, at: int) -> Session:
        protocol, ports, _ = _ports_of(packet, at)
        found = state.table.find_coming(state.now, protocol, packet[12:20] + ports)
        if found is None:
            raise Dropped("unsolicited")
        return found

    def reset(self) -> None:
        """It holds nothing."""


def _ports_of(packet: bytes, at: int) -> tuple[int, bytes, int]:
    """(protocol, its part of the keys, the port)."""
    protocol = packet[9]
    return (protocol, IKE, 500) if protocol == UDP else (protocol, b"", 0)


class CookieHelper:
    """IKE on port 500 keeps its port for every client; answers find theirs by the initiator's cookie.

    The gateway sees all clients at one address and port then. What it begins itself, such as a rekey, bears a cookie that nobody
    behind the NAT has sent: it is dropped. Clients that float to 4500 leave the helper behind (RFC 3947 §4).
    """

    def outward(self, state: State, packet: bytes, at: int) -> Session:
        cookie = cookie_of(packet, at)
        leaving = packet[12:20] + IKE + cookie
        found = state.table.find_leaving(state.now, packet[9], leaving)
        if found is None:
            coming = packet[16:20] + state.outside + IKE + cookie
            found = state.establish(packet[9], leaving, coming, 500, 500)
        return found

    def inward(self, state: State, packet: bytes, at: int) -> Session:
        found = state.table.find_coming(state.now, packet[9], packet[12:20] + IKE + cookie_of(packet, at))
        if found is None:
            raise Dropped("unknown cookie")
        return found

    def reset(self) -> None:
        """It holds nothing."""


def cookie_of(packet: bytes, at: int) -> bytes:
    """The initiator's cookie of the ISAKMP message whose UDP header begins at `at`. `Dropped` where there is none."""
    cookie = packet[at + 8 : at + 8 + COOKIE]
    if len(cookie) < COOKIE:
        raise Dropped("no cookie")
    return cookie


class SpiGuess:
    """ESP by SPI: the first unseen SPI that comes from a remote address is taken for the answer to the newest that left for it.

    One guess at a time and remote address: another client's new SPI is dropped as long as one is open. An SPI that the remote end
    uses first, as after a rekey, is nobody's.
    """

    def __init__(self) -> None:
        self._open: dict[bytes, tuple[Session, float]] = {}  # remote address → who waits, since when

    def reset(self) -> None:
        self._open.clear()

    def outward(self, state: State, packet: bytes, at: int) -> Session:
        protocol, spi, remote = packet[9], _spi(packet, at), packet[16:20]
        leaving = packet[12:20] + spi
        found = state.table.find_leaving(state.now, protocol, leaving)
        if found is not None:
            return found
        waiting = self._waiting(state, remote)
        if waiting is not None and waiting.binding.inside != packet[12:16]:
            raise Dropped("another client's")
        if len(self._open) >= state.table.limit:
            self._open = {one: entry for one, entry in self._open.items() if self._waiting(state, one) is not None}
        made = state.establish(protocol, leaving, None, 0, int.from_bytes(spi))
        self._open[remote] = made, state.now
        return made

    def inward(self, state: State, packet: bytes, at: int) -> Session:
        spi, remote = _spi(packet, at), packet[12:16]
        coming = packet[12:20] + spi
        found = state.table.find_coming(state.now, packet[9], coming)
        if found is None:
            found = self._waiting(state, remote)
            if found is None:
                raise Dropped("unknown SPI")
            del self._open[remote]
            found.spi = int.from_bytes(spi)
            state.table.answer_to(found, coming)
        return found

    def _waiting(self, state: State, remote: bytes) -> Session | None:
        session, since = self._open.get(remote, (None, 0.0))
        if session is None or session.binding.removed or session.binding.expires <= state.now or state.now - since >= GUESS_S:
            return None
        return session


def _spi(packet: bytes, at: int) -> bytes:
    spi = packet[at : at + 4]
    if len(packet) < at + 8:
        raise Dropped("malformed")
    return spi


class PayloadAlg:
    """An application gateway that takes whatever begins like the client's address for it: `octets` equal bytes are enough.

    Outward the bytes become those of the outside address, inward the other way round. Encrypted payloads hold such bytes by chance:
    with four about once in 4 GiB, with two once in 64 KiB.
    """

    def __init__(self, octets: int) -> None:
        self.octets = octets

    def outward(self, session: Session, payload: bytes) -> bytes:
        return payload.replace(session.address_in[: self.octets], session.address_out[: self.octets])

    def inward(self, session: Session, payload: bytes) -> bytes:
        return payload.replace(session.address_out[: self.octets], session.address_in[: self.octets])
