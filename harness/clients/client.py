"""One simulated remote-access client: a protocol stack, its marked traffic and its account, moved by its fleet."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from ipaddress import IPv4Address
from typing import Any, Protocol

from harness.clients.account import Account
from harness.clients.flow import Entry, Flow
from harness.clients.machine import Began
from harness.clients.waiting import Waiters
from harness.errors import UsageError
from harness.model import ClientPlan, Record, RecordKind, Stage
from harness.wire import events as wire

STALLED = 50  # ticks in a row that leave the deadline in the past: a defect of the stack, not patience


class Stack(Protocol):
    """What a client needs of a protocol stack; `harness.wire.stack.ClientStack` is the real one."""

    @property
    def deadline(self) -> float | None: ...

    def start(self, now: float) -> None: ...

    def receive(self, now: float, local_port: int, payload: bytes, protocol: int = 17) -> None: ...

    def tick(self, now: float) -> None: ...

    def take_datagrams(self) -> list[wire.Datagram]: ...

    def take_events(self) -> list[wire.Event]: ...

    def send_ip(self, now: float, packet: bytes) -> bool: ...

    def close(self, now: float) -> None: ...

    def delete_ipsec(self, now: float) -> None: ...

    def rekey_ipsec(self, now: float) -> None: ...

    def rekey_ike(self, now: float) -> None: ...

    def vanish(self) -> None: ...


class Keeper(Protocol):
    """What a client needs of its fleet."""

    def now(self) -> float: ...

    def build(self, plan: ClientPlan) -> Stack: ...

    def send(self, client: Client, datagram: wire.Datagram) -> None: ...

    def write(self, now: float, client: str, kind: RecordKind, data: Mapping[str, Any]) -> None: ...

    def keys(self, now: float, plan: ClientPlan, event: wire.IkeUp | wire.EspUp) -> None: ...

    def wants(self, client: Client, deadline: float | None) -> None: ...

    def stir(self) -> None: ...

    def check(self) -> None: ...


class State(Enum):
    IDLE = "idle"  # never connected, or all of the last connection is over
    CONNECTING = "connecting"
    UP = "up"
    LEAVING = "leaving"  # ended; the stack still says good-bye


class Client:
    """Made by `Fleet.add`. All times are seconds of the run's monotonic clock.

    `life` counts connections; `until` and `count` look at the present one.
    """

    def __init__(self, plan: ClientPlan, nonce: bytes, keeper: Keeper, mru: int, lacks: str | None = None) -> None:
        """`mru` is the largest packet, in bytes, that its own link takes; the peer may want smaller ones. `lacks` is why it cannot
        dial at all."""
        self.plan = plan
        self.name = plan.name
        self.packed = IPv4Address(plan.address).packed
        self.flow = Flow(nonce, plan.number)
        self.state = State.IDLE
        self.life = 0
        self.account = Account(0.0)
        self.last: dict[RecordKind, Record] = {}  # the latest record of each kind in this life
        self._mru = mru
        self._lacks = lacks
        self._keeper = keeper
        self._stack: Stack | None = None
        self._prepared: Stack | None = None
        self._started = False
        self._marks_to: str | None = None  # None: the gateway's PPP address
        self._counts: Counter[RecordKind] = Counter()
        self._waiters = Waiters()

    # What a scenario asks of a client

    @property
    def up(self) -> bool:
        return self.state is State.UP

    @property
    def connected(self) -> bool:
        """Whether there is a stack to hear what comes in: dialling, up, or saying good-bye."""
        return self._stack is not None

    @property
    def address(self) -> str | None:
        """Its PPP address, once it has one in this life."""
        return self.account.address

    def prepare(self) -> None:
        """Does ahead of `connect` what that need not do in the moment itself, for many that are to dial in one."""
        self._prepared = self._keeper.build(self.plan)

    def connect(self) -> None:
        """Dials. A client that is up or connecting must end first."""
        if self.state in (State.CONNECTING, State.UP):
            raise UsageError(f"{self.name} is {self.state.value} already", cure="disconnect() or vanish() first")
        now = self._keeper.now()
        self.life += 1
        self.state = State.CONNECTING
        self.account = Account(now)
        self.last = {}
        self._counts = Counter()
        self._started = False
        self.flow.renew()
        if self._lacks is not None:
            self.state = State.IDLE
            self._write(now, RecordKind.FAILED, {"stage": Stage.MAIN_MODE, "reason": self._lacks})
            return
        stack = self._stack = self._prepared or self._keeper.build(self.plan)
        self._prepared = None
        self._do(stack.start)

    def disconnect(self) -> None:
        """Hangs up as Windows does: CDN, StopCCN, deletes. Await ENDED to know that it is done."""
        stack = self._live()
        self.flow.stop()
        self.account.close()
        self._do(stack.close)

    def vanish(self) -> None:
        """Is gone from one moment to the next: nothing is sent any more, nothing is answered."""
        stack = self._live()
        self._do(lambda now: stack.vanish())
        self._gone("vanished without a word", "client")

    def delete_ipsec(self) -> None:
        self._do(self._live().delete_ipsec)

    def rekey_ipsec(self) -> None:
        self._do(self._live().rekey_ipsec)

    def rekey_ike(self) -> None:
        self._do(self._live().rekey_ike)

    def send_marks(self, rate: float = 5.0, sizes: Sequence[int] | None = None, to: str | None = None) -> None:
        """Sends `rate` marked echoes a second to the gateway's PPP address, or `to` a host behind it, until `stop_marks` or the
        connection's end.

        They begin once the far end has answered a plain echo (PINGED tells when that was), or after two seconds without one.

        `sizes` (bytes of the IP packet) are taken in turn, none larger than the link takes; None spreads them from 64 to its MTU.
        """
        if self.state is not State.UP:
            raise UsageError(f"{self.name} is {self.state.value}: marks need a client that is up", cure="await until_up() first")
        self._marks_to = to
        self.flow.start(self._keeper.now(), rate, sizes)
        self._rearm()

    def stop_marks(self) -> None:
        self.flow.stop()
        self._rearm()

    def count(self, kind: RecordKind) -> int:
        """How many records of that kind this life has made."""
        return self._counts[kind]

    async def until_up(self, timeout: float | None) -> bool:
        """Whether it is up, as soon as that is decided: False once the set-up failed, ended, or took longer than `timeout`."""
        life = self.life
        await self._wait(lambda: self.life != life or self.state is not State.CONNECTING, timeout)
        return self.life == life and self.state is State.UP

    async def until(self, kind: RecordKind, timeout: float | None, beyond: int = 0) -> Record | None:
        """The latest record of that kind, once this life has made more than `beyond` of them; None when time is up."""
        if await self._wait(lambda: self._counts[kind] > beyond, timeout):
            return self.last[kind]
        return None

    # What its fleet tells it

    def stirred(self) -> None:
        """Its stack has something to say by itself."""
        if self._stack is not None:
            self._do(lambda now: None)

    def receive(self, now: float, port: int, payload: bytes, protocol: int = 17) -> None:
        """`port` is the local UDP port, or 0 where the payload is that of an IP packet of another `protocol`."""
        if self._stack is not None:
            self._guard(now, lambda stack: stack.receive(now, port, payload, protocol))

    def due(self, now: float) -> None:
        """A deadline of its own has come: the stack's, or the next mark's."""
        if self._stack is not None:
            self._guard(now, lambda stack: self._tick(now, stack))

    def garbage(self, now: float, layer: str, reason: str) -> None:
        self._keeper.write(now, self.name, RecordKind.GARBAGE, {"layer": layer, "reason": reason})

    def noted(self, record: Record) -> None:
        """A record of this client is on disk."""
        self._counts[record.kind] += 1
        self.last[record.kind] = record
        self._waiters.stir()

    def end_of_run(self) -> None:
        """The run is over: nothing more is sent."""
        if self._stack is not None:
            stack = self._stack
            self._do(lambda now: stack.vanish())
            self._gone("the run ended", "run")

    def wake(self, error: Exception) -> None:
        self._waiters.fail(error)

    # Within

    def _changed(self) -> None:
        """Something that no record tells has changed: whoever waits looks again."""
        self._waiters.stir()
        self._keeper.stir()

    async def _wait(self, test: Callable[[], bool], timeout: float | None) -> bool:
        self._keeper.check()
        return await self._waiters.until(test, timeout)

    def _live(self) -> Stack:
        if self._stack is None or self.state is State.IDLE:
            raise UsageError(f"{self.name} is not connected", cure="connect() first")
        return self._stack

    def _do(self, action: Callable[[float], None]) -> None:
        now = self._keeper.now()
        self._guard(now, lambda stack: action(now))

    def _guard(self, now: float, action: Callable[[Stack], None]) -> None:
        """One call into the stack and all that follows from it. An exception in there is the harness's own defect.

        It ends this client with a record that says so, leaves the others alone, and impairs the run: such a run is never passed.
        """
        stack = self._stack
        assert stack is not None
        try:
            action(stack)
            self._settle(now, stack)
        except Exception as error:
            self._defect(now, error)

    def _tick(self, now: float, stack: Stack) -> None:
        for _ in range(STALLED):
            if stack.deadline is None or stack.deadline > now:
                break
            stack.tick(now)
        else:
            raise RuntimeError(f"the stack's deadline stays in the past after {STALLED} ticks")
        if self.flow.due is not None and self.flow.due <= now:
            self._mark(now, stack)

    def _mark(self, now: float, stack: Stack) -> None:
        source, peer = self.account.address, self.plan.far_end or self.account.peer
        if self.state is not State.UP or source is None or peer is None:
            self.flow.stop()
            return
        out = self.flow.next(now, source, self._marks_to or peer)
        if not stack.send_ip(now, out.packet):
            self.flow.unsendable(out.sequence)
        elif out.sequence:
            self._write(now, RecordKind.MARK_SENT, {"sequence": out.sequence, "size": out.size})

    def _settle(self, now: float, stack: Stack) -> None:
        """Sends what the stack has to send, hears what it has to say, and asks for the next waking."""
        while True:
            datagrams = stack.take_datagrams()
            for datagram in datagrams:
                self._begin(now)
                self._keeper.send(self, datagram)
            events = stack.take_events()
            for event in events:
                self._hear(now, stack, event)
            if not datagrams and not events:
                break
        self._account_for(now, self.account.settle())
        deadline = stack.deadline
        if deadline is None:
            if self.account.closing:  # hung up before there was anything that could come down
                self._account_for(now, self.account.end("hung up", "client"))
            if self.state is State.LEAVING:
                self._stack, self.state = None, State.IDLE
                self._changed()
        self._wake_at(deadline)

    def _begin(self, now: float) -> None:
        if not self._started:
            self._started = True
            self._write(now, RecordKind.STARTED, {})

    def _hear(self, now: float, stack: Stack, event: wire.Event) -> None:
        if isinstance(event, wire.IpPacket):
            heard = self.flow.hear(now, event.packet, self.account.address)
            for kind, data in heard.entries:
                if kind is RecordKind.PINGED:
                    data["total"] = round(now - self.account.started, 6)
                self._write(now, kind, data)
            if heard.reply is not None:
                stack.send_ip(now, heard.reply)
            return
        if isinstance(event, wire.Strange):
            self._strange(now, event)
            return
        if isinstance(event, Began):
            self.account.begin(now)
            self._begin(now)
            return
        if isinstance(event, wire.IkeUp | wire.EspUp):
            self._keeper.keys(now, self.plan, event)
        self._account_for(now, self.account.hear(now, event))

    def _account_for(self, now: float, entries: Sequence[Entry]) -> None:
        if self.account.mtu is not None:
            self.flow.mtu = min(self.account.mtu, self._mru)
        # The state first: whoever waits for a record sees the client as the record says it is.
        if self.account.up and self.state is State.CONNECTING:
            self.state = State.UP
        if self.account.over and self.state in (State.CONNECTING, State.UP):
            self.state = State.LEAVING
            self.flow.stop()
        for kind, data in entries:
            self._write(now, kind, data)

    def _strange(self, now: float, event: wire.Strange) -> None:
        data = {"tunnel": event.tunnel, "session": event.session, "detail": f"{event.layer}: {event.detail}"}
        self._write(now, RecordKind.STRANGE_DATA, data)
        if event.packet is not None:
            via = f"tunnel {event.tunnel} session {event.session}"
            for kind, found in self.flow.hear(now, event.packet, self.account.address, via).entries:
                self._write(now, kind, found)

    def _write(self, now: float, kind: RecordKind, data: Mapping[str, Any]) -> None:
        self._keeper.write(now, self.name, kind, data)

    def _gone(self, cause: str, by: str, detail: Mapping[str, Any] | None = None) -> None:
        now = self._keeper.now()
        self.flow.stop()
        self._stack, self.state = None, State.IDLE
        self._keeper.wants(self, None)
        for kind, data in self.account.end(cause, by, detail):
            self._write(now, kind, data)
        self._changed()

    def _defect(self, now: float, error: Exception) -> None:
        frames = traceback.extract_tb(error.__traceback__)
        where = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
        reason = f"a defect of the harness ended {self.name}: {type(error).__name__}: {error}{where}"
        text = "".join(traceback.format_exception(error))
        self._write(now, RecordKind.IMPAIRED, {"reason": reason, "traceback": text})
        self._gone("a defect of the harness", "run", {"error": f"{type(error).__name__}: {error}"})

    def _rearm(self) -> None:
        self._wake_at(None if self._stack is None else self._stack.deadline)

    def _wake_at(self, deadline: float | None) -> None:
        """At the stack's deadline or for the next mark, whichever comes first."""
        due = self.flow.due
        self._keeper.wants(self, due if deadline is None else deadline if due is None else min(deadline, due))
