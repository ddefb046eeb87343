"""From what a protocol stack reports to what a client says of itself: events in, entries for the journal out. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.clients.flow import Entry
from harness.model import RecordKind, Stage
from harness.wire import events as wire

Down = wire.PppDown | wire.CallDown | wire.TunnelDown
_LAYERS: dict[type[wire.Event], str] = {wire.CallDown: "L2TP session", wire.TunnelDown: "L2TP tunnel"}


class Account:
    """One connection's account, from its first datagram to its one end: either FAILED, before it was up, or ENDED.

    `up` and `over` say where it stands; `stage` is the last stage reached, `took` how many seconds each has taken. `mtu` is the
    largest IP packet the peer takes, in bytes.
    """

    def __init__(self, started: float) -> None:
        self.up = False
        self.over = False
        self.stage: Stage | None = None
        self.took: dict[Stage, float] = {}
        self.address: str | None = None
        self.peer: str | None = None
        self.mtu: int | None = None
        self._since = started
        self.started = started
        self._closing = False
        self._authentication = "none"
        self._deleted: list[str] = []  # what the gateway took away before the end came
        self._failure: wire.Failed | None = None  # of an established connection, until `settle` knows who did it
        self._downs: list[Down] = []

    @property
    def closing(self) -> bool:
        return self._closing

    def begin(self, now: float) -> None:
        """The first datagram went out only now: what came before was no part of the set-up."""
        self.started = self._since = now

    def close(self) -> None:
        """The client itself has begun to hang up: what comes down from now on is its own doing."""
        self._closing = True

    def end(self, cause: str, by: str, detail: Mapping[str, Any] | None = None) -> list[Entry]:
        """The end, if it has not come yet."""
        if self.over:
            return []
        self.over, self.up = True, False
        stage = None if self.stage is None else self.stage.value
        return [(RecordKind.ENDED, {"cause": cause, "by": by, "detail": {"stage": stage, **self._hints(), **(detail or {})}})]

    def hear(self, now: float, event: wire.Event) -> list[Entry]:
        """The entries that one event amounts to, in order. IpPacket and Strange are the marks' business, not this one's.

        The end of an established connection comes as several events, in whatever order its layers fall: `settle` sums them up.
        """
        match event:
            case wire.IkeUp():
                return [(RecordKind.IKE_UP, _ike(event)), *([] if event.rekey else self._reach(now, Stage.MAIN_MODE))]
            case wire.EspUp():
                return [(RecordKind.ESP_UP, _esp(event)), *([] if event.rekey else self._reach(now, Stage.QUICK_MODE))]
            case wire.TunnelUp():
                tunnel = {"tunnel_local": event.tunnel_local, "tunnel_remote": event.tunnel_remote}
                peer = {"peer_host": event.peer_host, "peer_vendor": event.peer_vendor}
                return [(RecordKind.L2TP_UP, tunnel | peer), *self._reach(now, Stage.L2TP_TUNNEL)]
            case wire.CallUp():
                call = {"session_local": event.session_local, "session_remote": event.session_remote}
                return [(RecordKind.CALL_UP, call), *self._reach(now, Stage.L2TP_SESSION)]
            case wire.LcpUp():
                self.mtu, self._authentication = event.mru_peer, event.authentication
                return self._reach(now, Stage.LCP, mru_peer=event.mru_peer, authentication=event.authentication)
            case wire.Authenticated():
                self._authentication = event.method
                return self._reach(now, Stage.AUTHENTICATION, method=event.method, message=event.message)
            case wire.PppUp():
                return self._ppp_up(now, event)
            case wire.EspDown() if event.by_peer:
                return self._deletion("esp", f"{event.spi_in:08x}", event.reason)
            case wire.IkeDown() if event.by_peer:
                return self._deletion("isakmp", event.icookie.hex() + event.rcookie.hex(), event.reason)
            case wire.Notified():
                detail = {"number": event.type, "data": event.data.hex(), "protected": event.protected}
                return [(RecordKind.PEER_NOTIFY, {"type": event.name, "detail": detail})]
            case wire.Refused():
                return [(RecordKind.GARBAGE, {"layer": event.layer, "reason": event.reason})]
            case wire.RekeyFailed():
                return [(RecordKind.REKEY_FAILED, {"stage": event.stage, "reason": event.reason})]
            case wire.PppDown() | wire.CallDown() | wire.TunnelDown() if self.up:
                self._downs.append(event)
            case wire.Failed():
                return self._failed(event)
        return []

    def _reach(self, now: float, stage: Stage, **more: Any) -> list[Entry]:
        took, self._since, self.stage = round(now - self._since, 6), now, stage
        self.took[stage] = took
        return [(RecordKind.STAGE, {"stage": stage.value, "took": took, **more})]

    def _ppp_up(self, now: float, event: wire.PppUp) -> list[Entry]:
        again, self.up, self.address, self.peer = self.up, True, event.address, event.peer
        link = {"address": event.address, "peer": event.peer, "dns": list(event.dns), "authentication": self._authentication}
        if again:
            return [(RecordKind.PPP_UP, link)]
        reached = self._reach(now, Stage.IPCP) + self._reach(now, Stage.UP, total=round(now - self.started, 6))
        return [(RecordKind.PPP_UP, link), *reached]

    def _deletion(self, protocol: str, spi: str, reason: str) -> list[Entry]:
        self._deleted.append(f"{protocol} {spi}")
        return [(RecordKind.PEER_DELETE, {"protocol": protocol, "spis": [spi], "reason": reason})]

    def _hints(self) -> dict[str, Any]:
        return {"deleted by the gateway before": list(self._deleted)} if self._deleted else {}

    def _failed(self, event: wire.Failed) -> list[Entry]:
        if self.over:
            return []
        if self._closing:
            return self.end(event.reason, "client", event.facts)
        if self.up:
            self._failure = self._failure or event
            return []
        self.over = True
        return [(RecordKind.FAILED, {**event.facts, **self._hints(), "stage": event.stage, "reason": event.reason})]

    def settle(self) -> list[Entry]:
        """To be called when all events that one cause gave rise to have been heard: the end they amount to, if they do."""
        failure, downs = self._failure, self._downs
        self._failure, self._downs = None, []
        if self.over or not (failure or downs):
            return []
        layers = [down for down in downs if not isinstance(down, wire.PppDown)]
        if failure is None and not layers:
            if self._closing:
                return []  # the first of its own steps; the tunnel's end is the last
            return [(RecordKind.PPP_DOWN, {"reason": down.reason, "by_peer": down.by_peer}) for down in downs]
        if self._closing:
            by = "client"
        elif failure is not None and "by" in failure.facts:
            by = failure.facts["by"]
        elif downs:
            by = "gateway" if any(down.by_peer for down in downs) else "silence"
        else:
            by = "silence"  # a peer that had said something would have taken a layer down
        if failure is not None:
            return self.end(f"{failure.stage}: {failure.reason}", by, failure.facts)
        first = layers[0]
        return self.end(f"{_LAYERS[type(first)]}: {first.reason}", by, {"result": first.result})


def _ike(event: wire.IkeUp) -> dict[str, Any]:
    """Everything but the keys."""
    return {
        "icookie": event.icookie.hex(),
        "rcookie": event.rcookie.hex(),
        "nat_local": event.nat_local,
        "nat_remote": event.nat_remote,
        "encryption": event.encryption,
        "hash": event.hash,
        "group": event.group,
        "lifetime_s": event.lifetime_s,
        "rekey": event.rekey,
    }


def _esp(event: wire.EspUp) -> dict[str, Any]:
    """Everything but the keys."""
    return {
        "spi_in": f"{event.spi_in:08x}",
        "spi_out": f"{event.spi_out:08x}",
        "encapsulation": event.encapsulation,
        "encryption": event.encryption,
        "authentication": event.authentication,
        "lifetime_s": event.lifetime_s,
        "lifetime_kb": event.lifetime_kb,
        "rekey": event.rekey,
    }
