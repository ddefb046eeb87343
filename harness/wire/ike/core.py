"""One IKEv1 peer, sans-IO: main modes, quick modes, SAs and their timers behind one door.

The owner hands in ISAKMP messages (without the non-ESP marker) and the time, and takes out datagrams, events and one deadline.
No bytes from outside raise anything: what is refused becomes a Refused event and changes nothing.
"""

from __future__ import annotations

from typing import ClassVar

from harness.errors import ProtocolError
from harness.wire.config import Child, Entropy, IkeConfig
from harness.wire.events import Datagram, Event, Refused
from harness.wire.ike import dpd, registry
from harness.wire.ike.association import PATIENCE_S, Association
from harness.wire.ike.inbound import Inbound
from harness.wire.ike.quick_mode_table import State as QuickState
from harness.wire.ike.sa import spend


class IkeCore:
    """See the module. `now` never goes back; `local_port` is the port (500 or 4500) at which a message came in. Here and below, an
    attribute …_type is the class of a part: a subclass puts another in its place."""

    association_type: ClassVar[type[Association]] = Association

    def __init__(self, config: IkeConfig, entropy: Entropy) -> None:
        self.config = config
        self._all = self.association_type(config, entropy)
        self._inbound = Inbound(self._all)

    # What the owner takes out

    def take_datagrams(self) -> list[Datagram]:
        taken, self._all.outbox.datagrams = self._all.outbox.datagrams, []
        return taken

    def take_events(self) -> list[Event]:
        taken, self._all.outbox.events = self._all.outbox.events, []
        return taken

    @property
    def deadline(self) -> float | None:
        """When `tick` is next due."""
        times = [run.deadline for run in self._all.runs()]
        for sa in self._all.sas:
            times += (sa.expires_at, sa.rekey_at, sa.delete_at)
        for pair in self._all.pairs:
            times += (pair.expires_at, pair.rekey_at, pair.delete_at)
        times += (self._keepalive_at(), self._dpd_at())
        return min((t for t in times if t is not None), default=None)

    # What the owner orders

    def configure(self, config: IkeConfig) -> None:
        """For the exchanges that begin from now on; what is under way or established stays as it was agreed on."""
        self.config = self._all.config = config

    def start(self, now: float) -> None:
        """Phase 1 (main or aggressive mode), then quick mode."""
        self._all.want_pair = True
        self._all.begin_main(now, rekey=False)

    def start_child(self, now: float, child: Child) -> None:
        """Quick mode for `child`; phase 1 comes first where there is none."""
        self._all.begin_quick(now, child)

    def rekey_ike(self, now: float) -> None:
        """A new main mode; the present ISAKMP SA is deleted some seconds after the new one is up."""
        self._all.begin_main(now, rekey=True)

    def rekey_ipsec(self, now: float) -> None:
        """A new quick mode; the present pair of ESP SAs is deleted some seconds after the new one is up."""
        self._rekey_pair(now, None)

    def _rekey_pair(self, now: float, child: Child | None) -> None:
        if not any(run.asks_for(child) for run in self._all.quick):
            self._all.begin_quick(now, child)

    def delete_ipsec(self, now: float) -> None:
        """Delete for all ESP SAs; the ISAKMP SA stays. Quick modes under way are given up."""
        for run in self._all.quick:
            if run.state in (QuickState.WAIT_QM2, QuickState.WAIT_QM3):
                run.close(now)
        self._all.delete_pairs(now, list(self._all.pairs), "deleted")
        self._all.sweep(now)

    def delete_ike(self, now: float) -> None:
        """Delete for the ISAKMP SAs; the ESP SAs live on by themselves."""
        for sa in list(self._all.sas):
            self._all.delete_sa(now, sa, "deleted")
        self._all.sweep(now)

    def delete_esp(self, now: float, spi_in: int) -> None:
        """Delete for the one pair that receives on `spi_in`, if it is there."""
        self._all.delete_pairs(now, [pair for pair in self._all.pairs if int.from_bytes(pair.spi_in) == spi_in], "deleted")
        self._all.sweep(now)

    def retire_esp(self, now: float, spi_in: int) -> None:
        """The pair that receives on `spi_in` has been replaced, under another core's ISAKMP SA: it ends when its Delete would have
        come."""
        for pair in self._all.pairs:
            if int.from_bytes(pair.spi_in) == spi_in:
                pair.rekey_at, pair.delete_at = None, now + PATIENCE_S

    def close(self, now: float) -> None:
        """Delete for all ESP SAs, then for the ISAKMP SAs. Nothing is due any more after this."""
        self._all.want_pair, self._all.wanted = False, []
        self.delete_ipsec(now)
        for run in self._all.main:
            run.end(now, by_peer=False)
        for sa in list(self._all.sas):
            self._all.delete_sa(now, sa, "closed")
        self._all.main, self._all.quick = [], []

    def note_traffic(self, now: float, *, sent: bool = True, received: bool = True) -> None:
        """ESP went out or came in (authentic): keepalives wait on the one, the question whether the peer lives on the other."""
        if sent:
            self._all.outbox.sent_at = now
        if received:
            self._all.liveness.heard(now)

    def spend(self, now: float, spi_in: int, octets: int) -> bool:
        """The pair that receives on `spi_in` has now protected that many bytes, in the direction that protected more. True where a
        lifetime in kilobytes makes `tick` due."""
        pair = next((pair for pair in self._all.pairs if int.from_bytes(pair.spi_in) == spi_in), None)
        return pair is not None and spend(pair, octets, now, pair.margin)

    # What comes from outside

    def receive(self, now: float, data: bytes, local_port: int, remote_port: int | None = None) -> None:
        """One ISAKMP message. `remote_port`: the one that it came from, where that may be another than `local_port`, because a NAT
        has changed it. A keepalive says nothing, not even that the peer lives (RFC 3948 §4)."""
        if data == registry.KEEPALIVE:
            return
        try:
            self._inbound.receive(now, data, local_port, remote_port)
        except ProtocolError as error:
            self._all.outbox.event(Refused("ike", error.reason))
        self._all.sweep(now)

    def tick(self, now: float) -> None:
        """All that is due. May be called at any time."""
        for run in self._all.runs():
            if run.deadline is not None and run.deadline <= now:
                run.tick(now)
        self._all.sweep(now)
        self._tick_sas(now)
        self._tick_pairs(now)
        self._tick_liveness(now)
        self._all.sweep(now)
        keepalive = self._keepalive_at()
        if keepalive is not None and keepalive <= now:
            self._keep_alive(now)

    def _keep_alive(self, now: float) -> None:
        self._all.outbox.datagrams.append(Datagram(registry.PORT_NATT, registry.PORT_NATT, registry.KEEPALIVE))
        self._all.outbox.sent_at = now

    def _tick_sas(self, now: float) -> None:
        for sa in list(self._all.sas):
            if sa.delete_at is not None and sa.delete_at <= now:
                self._all.delete_sa(now, sa, "replaced by a newer one")
            elif sa.expires_at <= now:
                self._all.delete_sa(now, sa, f"its lifetime of {sa.life} has ended")
            elif sa.rekey_at is not None and sa.rekey_at <= now:
                sa.rekey_at = None
                self._all.begin_main(now, rekey=True)

    def _tick_pairs(self, now: float) -> None:
        for pair in list(self._all.pairs):
            if pair.delete_at is not None and pair.delete_at <= now:
                self._all.delete_pairs(now, [pair], "replaced by a newer one")
            elif pair.expires_at <= now:
                self._all.delete_pairs(now, [pair], f"its lifetime of {pair.life} has ended")
            elif pair.rekey_at is not None and pair.rekey_at <= now:
                pair.rekey_at = None
                child, renewed = pair.child, self.config.renewed
                if child is None or renewed is None:
                    self._rekey_pair(now, child)
                elif (by_now := renewed(child)) is not None:
                    self._rekey_pair(now, by_now)

    def _tick_liveness(self, now: float) -> None:
        due = self._dpd_at()
        if due is None or due > now:
            return
        liveness, sa = self._all.liveness, self._all.sas[-1]
        try:
            sequence = liveness.tick(now)
        except dpd.PeerDead:
            self._all.peer_dead(now, f"the peer is dead: no answer to R-U-THERE after {liveness.tries} tries")
            return
        if sequence is not None:
            self._all.send_informational(now, sa, [(registry.NOTIFY, dpd.question(sa.cookies, sequence).write())])

    def _keepalive_at(self) -> float | None:
        """Only the side behind the NAT keeps the mapping open, and only once floated (RFC 3948 §4)."""
        if not self._all.behind_nat or not (self._all.sas or self._all.pairs) or self.config.keepalive_s <= 0:
            return None
        return self._all.outbox.sent_at + self.config.keepalive_s

    def _dpd_at(self) -> float | None:
        return self._all.liveness.deadline if self._all.sas and self._all.sas[-1].peer_dpd else None
