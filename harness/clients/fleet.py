"""Any number of simulated clients on shared sockets, or on a simulated link; one heap of deadlines and one loop timer.

    async with Fleet(carriers=[Transport(open_ports(enter=namespace))], journal=journal) as fleet:
        first = fleet.add(plan)
        first.connect()
        if await first.until_up(timeout=20):
            first.send_marks(rate=5)

The fleet watches itself as well. When this machine falls behind (a timer fires late, a socket overflows, the clock is stepped, a
stack has a defect), an IMPAIRED record says so, and the run's verdict must not blame the device.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any

from harness.clients import personality
from harness.clients.carrier import Arrival, Carrier
from harness.clients.client import Client, Stack
from harness.clients.deadlines import Deadlines
from harness.clients.journal import Journal
from harness.clients.machine import Machine, MachineStack
from harness.clients.marks import NONCE
from harness.clients.waiting import Waiters
from harness.errors import NatstormError, UsageError
from harness.model import ClientPlan, Record, RecordKind
from harness.wire import events as wire
from harness.wire.config import Entropy, StackConfig
from harness.wire.stack import ClientStack

FLEET = "fleet"  # the client named in records that concern no single one
LATE_S = 0.5  # half the shortest retransmission wait: a delay beyond it may look like a silent gateway
DRIFT_S = 0.05  # captures and records are compared to the millisecond; a stepped clock parts them
REPEAT_S = 1.0  # the same complaint at most so often; what comes in between is summed up

BuildStack = Callable[[StackConfig, Entropy], Stack]


def simulated(config: StackConfig, entropy: Entropy) -> Stack:
    """The protocol cores of this project."""
    return ClientStack(config, entropy)


class Fleet:
    """`carriers` carry for the clients of one site each (ClientPlan.site); the fleet opens and closes them. `machines` are the
    clients, by name, that are real ones.

    `nonce` marks this run's marks (8 bytes, drawn from `entropy` if none is given). `late_s` is the delay in seconds beyond which
    this machine counts as behind.
    """

    def __init__(
        self,
        *,
        carriers: Sequence[Carrier],
        journal: Journal,
        nonce: bytes | None = None,
        entropy: Entropy = os.urandom,
        build: BuildStack = simulated,
        look: Callable[[str], personality.Personality] = personality.load,
        late_s: float = LATE_S,
        machines: Mapping[str, Machine] | None = None,
    ) -> None:
        self.nonce = entropy(NONCE) if nonce is None else nonce
        self.journal = journal
        self.clients: dict[str, Client] = {}
        self.strays: Counter[str] = Counter()  # datagrams for addresses that no client has, by address
        self.unheard = 0  # datagrams for clients that are not connected (any more)
        self.impaired: list[Record] = []
        self._clock = journal.clock
        self._carriers = {carrier.site: carrier for carrier in carriers}
        self._entropy = entropy
        self._build = build
        self._look = look
        self._machines = machines or {}
        self._late_s = late_s
        self._by_address: dict[tuple[int, bytes], Client] = {}  # by site and address
        self._waiters = Waiters()
        self._complaints: dict[str, _Complaint] = {}
        self._fault: Exception | None = None
        self._deadlines: Deadlines[Client] | None = None

    # For the scenario

    async def __aenter__(self) -> Fleet:
        loop = asyncio.get_running_loop()
        for carrier in self._carriers.values():
            carrier.open(self, self._clock)
        self._deadlines = Deadlines(loop, self.now, self._due)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
        if error is None:
            self.check()

    def __getitem__(self, name: str) -> Client:
        return self.clients[name]

    def add(self, plan: ClientPlan) -> Client:
        """A client for this plan, not connected yet. UsageError where its name or address is taken, or where
        nothing carries for its site."""
        machine = self._machines.get(plan.name)
        if machine is None:
            looks = self._look(plan.personality)
            client = Client(plan, self.nonce, self, looks.mru, looks.lacks)
        else:
            client = Client(plan, self.nonce, self, machine.mru)
        place = (plan.site, client.packed)
        if plan.name in self.clients or place in self._by_address:
            raise UsageError(f"two clients are called {plan.name} or have the address {plan.address} at site {plan.site}")
        if plan.site not in self._carriers:
            raise UsageError(f"{plan.name} is at site {plan.site}, for which nothing carries")
        self.clients[plan.name] = client
        self._by_address[place] = client
        data = {"address": plan.address, "gateway": plan.gateway, "user": plan.user, "personality": plan.personality}
        self.write(self.now(), plan.name, RecordKind.PLANNED, data)
        return client

    async def until(self, test: Callable[[Fleet], bool], timeout: float | None) -> bool:
        """Whether `test(fleet)` came true within `timeout` seconds; it is asked anew after every record."""
        self.check()
        return await self._waiters.until(lambda: test(self), timeout)

    def facts(self) -> dict[str, Any]:
        """Counters of the generator itself, for the report."""
        counted = [carrier.counters for carrier in self._carriers.values()]
        return {
            "received": sum(one.received for one in counted),
            "sent": sum(one.sent for one in counted),
            "sent late": sum(one.queued for one in counted),
            "not sent": sum(one.unsent for one in counted),
            "dropped by the kernel": sum(one.overflowed for one in counted),
            "for unknown addresses": dict(self.strays),
            "for clients not connected": self.unheard,
            "impaired": len(self.impaired),
        }

    def close(self) -> None:
        """Ends what still runs, without a word on the wire, and closes the carriers."""
        if self._deadlines is None:
            for carrier in self._carriers.values():
                carrier.close()
            return
        for client in self.clients.values():
            client.end_of_run()
        drift = self._clock.drift()
        if abs(drift) > DRIFT_S:
            self._complain("the clock was stepped during the run", f"{drift:+.3f} s", 1)
        self._deadlines.close()
        for carrier in self._carriers.values():
            carrier.close()
        for about in list(self._complaints):
            self._flush(about)

    def check(self) -> None:
        """Raises what made the fleet itself fail, if anything has."""
        if self._fault is not None:
            raise NatstormError(f"the clients' fleet failed: {self._fault}") from self._fault

    # For its clients (client.Keeper)

    def now(self) -> float:
        return self._clock.monotonic()

    def build(self, plan: ClientPlan) -> Stack:
        machine = self._machines.get(plan.name)
        if machine is not None:
            return MachineStack(machine, self.clients[plan.name].stirred)
        return self._build(personality.load(plan.personality).stack_config(plan, self._entropy), self._entropy)

    def send(self, client: Client, datagram: wire.Datagram) -> None:
        self._carriers[client.plan.site].send(client.packed, client.plan.gateway, datagram)

    def write(self, now: float, client: str, kind: RecordKind, data: Mapping[str, Any]) -> None:
        """A journal that cannot be written is nobody's defect but the run's: it ends all waiting, not a client."""
        try:
            record = self.journal.write(now, client, kind, data)
        except OSError as error:
            self._fail(error)
            return
        if kind is RecordKind.IMPAIRED:
            self.impaired.append(record)
        known = self.clients.get(client)
        if known is not None:
            known.noted(record)
        self._waiters.stir()

    def keys(self, now: float, plan: ClientPlan, event: wire.IkeUp | wire.EspUp) -> None:
        try:
            if isinstance(event, wire.IkeUp):
                self.journal.ike_keys(now, plan.name, event)
            else:
                self.journal.esp_keys(now, plan, event)
        except OSError as error:
            self._fail(error)

    def wants(self, client: Client, deadline: float | None) -> None:
        assert self._deadlines is not None
        self._deadlines.set(client, deadline)

    def stir(self) -> None:
        self._waiters.stir()

    # For its carriers (carrier.Owner)

    def arrived(self, arrival: Arrival) -> None:
        now = self.now()
        if arrival.waited > self._late_s:
            self.delayed("a datagram was read late", arrival.waited)
        client = self._by_address.get((arrival.site, arrival.to))
        if client is None:
            self.strays[".".join(map(str, arrival.to))] += 1
        elif not client.connected:
            self.unheard += 1
        elif arrival.source != client.plan.gateway:
            client.garbage(now, "udp", f"from {arrival.source}:{arrival.sport}, which is not the gateway")
        else:
            client.receive(now, arrival.port, arrival.payload, arrival.protocol)

    def lost(self, reason: str, count: int) -> None:
        self._complain("datagrams were lost on this machine", reason, count)

    def delayed(self, what: str, seconds: float) -> None:
        if seconds > self._late_s:
            self._complain("this machine fell behind", what, 1, seconds)

    # Within

    def _due(self, client: Client, deadline: float) -> None:
        now = self.now()
        self.delayed("a timer fired late", now - deadline)
        client.due(now)

    def _complain(self, about: str, detail: str, count: int, seconds: float = 0.0) -> None:
        now = self.now()
        key = f"{about}: {detail}"
        complaint = self._complaints.setdefault(key, _Complaint())
        complaint.count += count
        complaint.worst = max(complaint.worst, seconds)
        if now - complaint.told >= REPEAT_S:
            complaint.told = now
            self._flush(key)

    def _flush(self, about: str) -> None:
        complaint = self._complaints[about]
        if complaint.count:
            data: dict[str, Any] = {"reason": about, "count": complaint.count}
            if complaint.worst:
                data["seconds"] = round(complaint.worst, 3)
            complaint.count, complaint.worst = 0, 0.0
            self.write(self.now(), FLEET, RecordKind.IMPAIRED, data)

    def _fail(self, error: Exception) -> None:
        if self._fault is None:
            self._fault = error
        self._waiters.fail(error)
        for client in self.clients.values():
            client.wake(error)


class _Complaint:
    """What one kind of trouble has amounted to since it was last told."""

    __slots__ = ("count", "told", "worst")

    def __init__(self) -> None:
        self.count = 0
        self.worst = 0.0
        self.told = float("-inf")
