"""IPCP's options (RFC 1332 §3; RFC 1877 for the name servers that Microsoft added)."""

from __future__ import annotations

from enum import IntEnum

from harness.wire.config import PppConfig
from harness.wire.ip import dotted, packed
from harness.wire.ppp.packet import Code, Option

NONE = bytes(4)


class Kind(IntEnum):
    ADDRESSES = 1
    COMPRESSION = 2
    ADDRESS = 3
    PRIMARY_DNS = 129
    PRIMARY_NBNS = 130
    SECONDARY_DNS = 131
    SECONDARY_NBNS = 132


DNS = (Kind.PRIMARY_DNS, Kind.SECONDARY_DNS)
NBNS = (Kind.PRIMARY_NBNS, Kind.SECONDARY_NBNS)
MAX_SUGGESTIONS = 3  # Naks that name an address to a peer that has not asked for one


class IpcpOptions:
    """Our address and name servers, which the peer assigns by Nak where they are 0.0.0.0; and those we assign to it."""

    name = "ipcp"

    def __init__(self, config: PppConfig) -> None:
        self._source = config.assign
        self._assign = packed(config.assign) if isinstance(config.assign, str) else None
        self._user: str | None = None  # for whom `_source` was asked
        self._servers = dict(zip(DNS, map(packed, config.assign_dns), strict=False))
        self._servers |= dict(zip(NBNS, map(packed, config.assign_nbns), strict=False))
        self._assigned = config.local_address == "0.0.0.0"
        own = config.requested_address if self._assigned else config.local_address
        self._ours: dict[int, bytes] = {Kind.ADDRESS: packed(own)}
        if config.request_dns:
            self._ours |= dict.fromkeys(DNS, NONE)
        if config.request_nbns:
            self._ours |= dict.fromkeys(NBNS, NONE)
        self._peer = NONE
        self._suggestions = 0

    @property
    def address(self) -> str | None:
        """Our address, or None while there is none."""
        ours = self._ours.get(Kind.ADDRESS, NONE)
        return None if ours == NONE else dotted(ours)

    @property
    def peer(self) -> str:
        return dotted(self._peer)

    @property
    def dns(self) -> tuple[str, ...]:
        return self._given(DNS)

    @property
    def nbns(self) -> tuple[str, ...]:
        return self._given(NBNS)

    @property
    def unassigned(self) -> bool:
        """The peer was to have an address from us, and has taken none."""
        return self._assign is not None and self._peer == NONE

    def serve(self, user: str) -> bool:
        """Takes an address for this user, once; whether there is one, or none is to be had from us at all."""
        if self._source is None or isinstance(self._source, str) or self._user == user:
            return True
        address = self._source(user)
        if address is None:
            return False
        self._assign, self._user = packed(address), user
        return True

    def _given(self, kinds: tuple[Kind, ...]) -> tuple[str, ...]:
        given = (self._ours.get(kind, NONE) for kind in kinds)
        return tuple(dict.fromkeys(dotted(value) for value in given if value != NONE))

    def request(self) -> tuple[Option, ...]:
        return tuple(Option(kind, value) for kind, value in self._ours.items())

    def judge(self, options: tuple[Option, ...]) -> tuple[Code, tuple[Option, ...]]:
        rejected: list[Option] = []
        better: list[Option] = []
        for option in options:
            if option.type == Kind.ADDRESS and len(option.value) == 4:
                if self._assign not in (None, option.value):
                    better.append(Option(Kind.ADDRESS, self._assign or NONE))
                elif option.value == NONE:
                    rejected.append(option)
            elif option.type in self._servers and len(option.value) == 4:
                if option.value != self._servers[Kind(option.type)]:
                    better.append(Option(option.type, self._servers[Kind(option.type)]))
            else:
                rejected.append(option)  # above all Van Jacobson's header compression, which pppd offers first
        if rejected:
            return Code.CONFIGURE_REJECT, tuple(rejected)
        if self._assign is not None and Kind.ADDRESS not in dict(options) and self._suggestions < MAX_SUGGESTIONS:
            self._suggestions += 1  # RFC 1661 §5.3: a Nak may name what has not been asked for
            better.append(Option(Kind.ADDRESS, self._assign))
        if better:
            return Code.CONFIGURE_NAK, tuple(better)
        return Code.CONFIGURE_ACK, options

    def agree(self, options: tuple[Option, ...]) -> None:
        self._peer = dict(options).get(Kind.ADDRESS, NONE)

    def nak(self, options: tuple[Option, ...]) -> None:
        """Takes what is assigned; an address of our own that the peer does not like stays, and the attempt will end."""
        for option in options:
            if len(option.value) == 4 and option.type in self._ours and (option.type != Kind.ADDRESS or self._assigned):
                self._ours[option.type] = option.value

    def reject(self, options: tuple[Option, ...]) -> None:
        for option in options:
            self._ours.pop(option.type, None)
