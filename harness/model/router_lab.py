"""A testbed of routers that are there already, as the rest of the harness sees it: which role each plays, where callers come in,
and where the wire between the routers is captured. There is no gateway that is judged, and no NAT before it.

Addresses are dotted quads; those of interfaces carry their prefix length.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from harness.model.reach import Allowance, CaptureSource, Connection, LabSpec
from harness.model.secret import Secret
from harness.model.testbed import Interface

LAC, LNS, LNS_2 = "lac", "lns", "lns-2"
WIRE = {LAC: "10.0.0.12", LNS: "10.0.0.13", LNS_2: "10.0.0.14"}
"""By role, its address on the wire between the routers: as the document's figures have them, and what scripts and verdicts say."""


class Described(Protocol):
    """What a lab of devices that are there needs to know of its testbed, of whatever kind that is. `captures` are its sources,
    `routers` those of its connections that keep nothing of ours on themselves."""

    @property
    def name(self) -> str: ...

    @property
    def file(self) -> str: ...

    @property
    def management(self) -> tuple[str, ...]: ...

    @property
    def lab(self) -> LabSpec: ...

    @property
    def connections(self) -> tuple[Connection, ...]: ...

    @property
    def captures(self) -> tuple[CaptureSource, ...]: ...

    @property
    def routers(self) -> tuple[Connection, ...]: ...

    @property
    def secrets(self) -> tuple[Secret, ...]: ...


THERE = LabSpec("static")


@dataclass(frozen=True, slots=True)
class RouterSpec:
    """One router. `wire` is its interface towards the others, `callers` that at which a LAC takes calls by PPPoE (None: none)."""

    role: str
    os: str
    connection: Connection
    wire: Interface
    callers: str | None = None


@dataclass(frozen=True, slots=True)
class RouterLab:
    """`by_role` has a LAC and an LNS at the least. `card` is the interface of this machine that the callers are on, with its line
    in the file; `wire` captures what passes between the routers. `esp_null`: scripts may be played without encryption, since nobody
    has the keys of these routers."""

    name: str
    file: str
    by_role: Mapping[str, RouterSpec]
    card: str
    card_line: int | None
    wire: CaptureSource
    allowance: Allowance
    lab: LabSpec = THERE
    management: tuple[str, ...] = ()
    esp_null: bool = False

    @property
    def routers(self) -> tuple[Connection, ...]:
        return tuple(one.connection for one in self.by_role.values())

    @property
    def connections(self) -> tuple[Connection, ...]:
        return self.routers

    @property
    def captures(self) -> tuple[CaptureSource, ...]:
        return (self.wire,)

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """Of the devices and of what is gone through on the way to them: what must never show. What the scripts type is in the
        documents, and protects nothing."""
        todo: list[Connection | None] = [*self.routers, self.wire.connection]
        found: list[Secret | None] = []
        while todo:
            if (one := todo.pop()) is not None:
                found += [one.password, one.enable]
                todo.append(one.jump)
        return tuple(dict.fromkeys(one for one in found if one is not None))
