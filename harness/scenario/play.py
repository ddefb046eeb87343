"""One scenario, played: the steps a script may take, and everything they leave behind gathered as `Evidence`."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from harness.clients.client import Client
from harness.clients.clock import RunClock
from harness.clients.fleet import Fleet
from harness.errors import DeviceError, LabError
from harness.model import ClientPlan, GatewayView, NatView, RecordKind, Stage, Step, Told
from harness.model.steps import StepBus
from harness.routers.play import Play as Console
from harness.scenario.bench import Bench, GatewayControl, Gathered
from harness.scenario.injector import Injector
from harness.scenario.lab_bench import LabBench
from harness.scenario.script import MARKS_PER_S
from harness.scenario.testbed_lint import said_of
from harness.verdict.link_cuts import LINK_CUT

LEAVE_S = 10.0
"""How long an orderly good-bye may take: the retransmissions of StopCCN and Delete included."""

ANSWER_S = 3.0
"""How long to wait for the first answer: a PPP peer is still configuring its interface when IPCP is done."""

REST_S = 1.0
"""How long an answer may be under way; a client that is cut off will wait for its answers in vain."""

REKEY_S = 20.0
"""How long a rekey may take, lost datagrams included."""


UNHEARD = StepBus(lambda: 0.0)
"""A bus that nobody listens to."""


@dataclass(slots=True)
class Play:
    """What a script is given. Every step is told to `bus`, and kept in `gathered` for the verdicts."""

    plans: Sequence[ClientPlan]
    fleet: Fleet
    bench: Bench
    clock: RunClock
    bus: StepBus
    gathered: Gathered
    marks_per_s: float = MARKS_PER_S
    marks_to: str | None = None
    mark_sizes: tuple[int, ...] | None = None

    @property
    def gateway(self) -> GatewayControl:
        return self.bench.gateway

    @property
    def console(self) -> Console:
        """The gateway's command line. LabError where it has none."""
        lab = self.bench.console
        if lab is None:
            raise LabError("type a command", "the gateway of this testbed has no command line", "testbeds/virtual-ios.yaml")
        return Console(lab, self.bus, self.gathered, {})

    @property
    def patience_s(self) -> float:
        return self.bench.patience_s

    async def perform(self, run: Callable[[Play], Awaitable[None]]) -> None:
        """Carries out a script (harness/scenario/scripts.py), between the gateway's first view and its last."""
        await self.view("before")
        await run(self)
        await self.come_to_rest(*self.fleet.clients)
        await self.view("end")

    # Steps

    async def connect(self, name: str) -> None:
        """The client dials; the step ends when it is up (its marked traffic then flows), has failed, or patience is over."""
        await self.dial(name)
        await self.view(f"after-connect:{name}")

    async def connect_together(self, names: Sequence[str]) -> None:
        """All of them send their first datagram at once, in the order given: nothing is reported between one and the next."""
        # Not by a Barrier, which lets its waiters go one by one: answers to the first would be worked on before the last dials.
        ready = asyncio.Event()
        dials = asyncio.gather(*(self.dial(name, ready) for name in names))
        await asyncio.sleep(0)  # each is where it waits
        if self.bench.time == "wall":
            gc.collect()  # or it is done amidst them, and takes as long as all of them
        ready.set()
        await dials
        await self.view(*(f"after-connect:{name}" for name in names))

    async def hold(self, seconds: float) -> None:
        """Marked traffic flows, and nothing else happens."""
        async with self.step("hold", seconds=seconds):
            await self.fleet.until(lambda fleet: False, seconds)

    async def idle(self, seconds: float) -> None:
        """Nobody sends marked traffic; who was up sends it again afterwards."""
        up = [client for client in self.fleet.clients.values() if client.up]
        async with self.step("idle", seconds=seconds):
            for client in up:
                client.stop_marks()
            await self.fleet.until(lambda fleet: False, seconds)
        for client in up:
            if client.up:
                client.send_marks(self.marks_per_s, self.mark_sizes, self.marks_to)

    async def client_close(self, name: str) -> None:
        """The client hangs up as Windows does. A client that is gone already has nothing to close: the step says so."""
        client = self.fleet[name]
        async with self.step(f"client-close:{name}", name) as detail:
            detail["carried_out"] = client.up
            if client.up:
                await self.come_to_rest(name)
                client.disconnect()
                await self.fleet.until(lambda fleet: not client.connected, LEAVE_S)

    async def delete_ipsec(self, name: str) -> None:
        """The gateway deletes the client's SAs and tells it so (Delete payloads)."""
        client = self.fleet[name]
        async with self.step(f"delete-ipsec:{name}", name, by="gateway") as detail:
            sa = client.last.get(RecordKind.ESP_UP)
            detail["carried_out"] = client.up and sa is not None
            if client.up and sa is not None:
                await self.gateway.delete_ipsec(str(sa.data["spi_out"]))
                await client.until(RecordKind.ENDED, LEAVE_S)

    async def gateway_close(self, name: str) -> None:
        """The LNS closes the client's tunnel (StopCCN)."""
        client = self.fleet[name]
        async with self.step(f"gateway-close:{name}", name) as detail:
            tunnel = self._tunnel(name) if client.up else None
            if tunnel is not None:
                # A gateway that has evicted the client has given its tunnel up before: then there is nothing left to close.
                view = await self.gateway.view("gateway-close")
                tunnel = tunnel if any(s.tunnel_local == tunnel for s in view.sessions) else None
            detail["carried_out"] = tunnel is not None
            if tunnel is not None:
                await self.gateway.close_l2tp(tunnel)
                await client.until(RecordKind.ENDED, LEAVE_S)

    async def vanish(self, name: str) -> None:
        """The client is gone from one moment to the next. `settle` waits for the gateway to notice."""
        async with self.step(f"vanish:{name}", name) as detail:
            detail["carried_out"] = self.fleet[name].up
            if self.fleet[name].up:
                self.fleet[name].vanish()

    async def host_asks(self, name: str, size: int) -> int | None:
        """The end host sends the client one echo of that size that must not be fragmented. Returns the MTU that it is told of for
        want of room, None where it is told of none; what became of the echo is told too. LabError where no such host is there."""
        host, client = self.bench.host, self.fleet[name]
        if host is None:
            raise LabError("ask a client", "there is no end host that can be told to ask", "testbeds/virtual-ios.yaml")
        async with self.step(f"host-asks:{name}", name, size=size) as detail:
            answered, mtu = await host.ask(client.address, size) if client.up and client.address is not None else (False, None)
            detail["carried_out"] = client.up
            moment = self.clock.epoch(self.clock.monotonic())
            if mtu is not None:
                self.gathered.told.append(Told(moment, host.address, "unreachable", {"mtu": mtu, "to": name}))
            data = {"to": name, "size": size, "df": True, "answered": answered}
            self.gathered.told.append(Told(moment, host.address, "pinged", data))
        return mtu

    async def testbed_naming(self, *addresses: str) -> None:
        """Other addresses are written in the testbed's file, each alone in the place of the gateway's: what its loader says of that
        is told, and what it says of the file as it is."""
        testbed = self.bench.testbed
        async with self.step("testbed-naming", addresses=list(addresses)):
            for address in (testbed.gateway.address, *addresses):
                said = said_of(testbed, {f"{testbed.gateway.address}/": f"{address}/"})
                moment = self.clock.epoch(self.clock.monotonic())
                self.gathered.told.append(Told(moment, "loader", "testbed", {"address": address, "said": said}))

    # What changes beneath a session that is up

    async def rekey_ipsec(self, name: str, by: str = "client") -> None:
        """A new quick mode for the client, begun by "client" or "gateway"; the step ends when the new pair of ESP SAs is up."""

        async def begin(client: Client, spi: str) -> None:
            if by == "gateway":
                await self.gateway.rekey(spi)
            else:
                client.rekey_ipsec()

        await self._rekey(f"rekey-ipsec:{name}", name, RecordKind.ESP_UP, by, begin)

    async def rekey_ike(self, name: str, by: str = "client") -> None:
        """A new main mode for the client, begun by "client" or "gateway"; the step ends when the new ISAKMP SA is up."""

        async def begin(client: Client, spi: str) -> None:
            if by == "gateway":
                await self.gateway.rekey_ike(spi)
            else:
                client.rekey_ike()

        await self._rekey(f"rekey-ike:{name}", name, RecordKind.IKE_UP, by, begin)

    async def nat_clears(self, name: str) -> None:
        """The NAT drops the mappings of one client, as `clear ip nat translation` does."""
        async with self.step(f"nat-clears:{name}", name) as detail:
            detail["mappings"] = await self.bench.nat.forget(self.fleet[name].plan.address)
        await self.view(f"after-nat-clears:{name}")

    async def nat_reboots(self) -> None:
        """The NAT loses its table and begins to give ports anew."""
        async with self.step("nat-reboots"):
            await self.bench.nat.reboot()

    async def nat_renumbers(self, outside: str) -> None:
        """The NAT's outside address changes, as on a DSL line at night."""
        async with self.step("nat-renumbers", outside=outside):
            await self.bench.nat.renumber(outside)

    async def silence(self, name: str, seconds: float) -> None:
        """The client sends no marked traffic for so long. Whether its keepalives go on is its personality's matter."""
        client = self.fleet[name]
        async with self.step(f"silence:{name}", name, seconds=seconds) as detail:
            detail["carried_out"] = client.up
            client.stop_marks()
            await self.fleet.until(lambda fleet: False, seconds)
        if client.up:
            client.send_marks(self.marks_per_s, self.mark_sizes, self.marks_to)

    async def demux(self, on: bool) -> None:
        """`set nat demux` is taken into the gateway's configuration, or out of it. SAs that are up stay."""
        async with self.step(f"demux-{'on' if on else 'off'}"):
            await self.gateway.reconfigure(demux=on)

    async def come_back(self, name: str) -> None:
        """A client that has gone dials again."""
        async with self.step(f"return:{name}", name):
            await self.dial(name)
        await self.view(f"after-return:{name}")

    # Hardships

    async def connect_while(self, name: str, reached: RecordKind, happening: Callable[[], Awaitable[None]]) -> None:
        """The client dials, and as soon as it has written a record of the kind `reached`, something happens to its gateway."""
        client = self.fleet[name]
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.dial(name))
            await asyncio.sleep(0)  # it has dialled: what is looked at from here on belongs to this connection
            if await client.until(reached, self.patience_s):
                await happening()
        await self.view(f"after-connect:{name}")

    async def reconfigure(self, **changes: Any) -> None:
        """The gateway takes other settings from now on; who is up stays up."""
        async with self.step("reconfigure"):
            await self.gateway.reconfigure(**changes)

    async def gateway_silent(self) -> None:
        """The gateway neither hears nor says anything any more."""
        async with self.step("gateway-silent"):
            await self.gateway.silence()

    async def gateway_killed(self) -> None:
        """The gateway's daemons die, without a word to anybody."""
        async with self.step("gateway-killed"):
            await self.gateway.kill_daemons()

    async def link_cut(self, seconds: float) -> None:
        """Nothing passes between NAT and gateway for so long; traffic goes on being sent."""
        async with self.step(LINK_CUT, seconds=seconds):
            link = self.bench.link
            try:
                await link.down()
                await self.fleet.until(lambda fleet: False, seconds)
            finally:
                await link.up()

    async def nat_forgets(self, first: str) -> None:
        """The NAT loses all its mappings, as on a restart. Of all clients `first` is the first to be translated anew: it gets the
        port that another one had, where that is the port it asks for."""
        others = [client for client in self.fleet.clients.values() if client.up and client.name != first]
        async with self.step("nat-forgets") as detail:
            await self.come_to_rest(*(client.name for client in others))
            answered = self.fleet[first].count(RecordKind.MARK_ANSWERED)
            detail["mappings"] = await self.bench.nat.forget()
            await self.fleet[first].until(RecordKind.MARK_ANSWERED, REST_S, beyond=answered)
            for client in others:
                client.send_marks(self.marks_per_s, self.mark_sizes, self.marks_to)

    @asynccontextmanager
    async def garbage(self, seed: int, rate: float = 40.0) -> AsyncIterator[None]:
        """While inside, garbage reaches gateway and clients, `rate` datagrams a second each way."""
        if not isinstance(self.bench, LabBench):
            raise LabError("inject garbage", "its sockets need a lab of namespaces", "play it in the time of the wall")
        async with self.step("garbage") as detail:
            with Injector(self.fleet, self.bench.lab, self.plans[0].gateway, seed) as injector:
                throwing = asyncio.create_task(injector.throw(rate))
                try:
                    yield
                finally:
                    throwing.cancel()
                    await asyncio.gather(throwing, return_exceptions=True)
                    detail.update(injector.sent)
            if not throwing.cancelled() and throwing.exception() is not None:
                raise LabError("inject garbage", str(throwing.exception()))

    # Endings

    async def settle(self, name: str) -> None:
        """Until the gateway has neither session nor SA of the client any more, or the bench's `settle_s` are over."""
        sa = self.fleet[name].last.get(RecordKind.ESP_UP)
        async with self.step("settle", name) as detail:
            detail["freed"] = await self._freed(self._tunnel(name), None if sa is None else str(sa.data["spi_out"]))
        await self.view(f"after-vanish:{name}")

    async def view(self, *labels: str) -> GatewayView:
        """The gateway's own account at this moment, and the NAT's, told once and kept under each of the labels."""
        view = await self.gateway.view(labels[0])
        self.gathered.views += [replace(view, label=label) for label in labels]
        moment, mappings = self.clock.epoch(self.clock.monotonic()), await self.bench.nat.mappings()
        self.gathered.nat_views += [NatView(moment, label, mappings) for label in labels]
        return view

    # Within

    async def _rekey(
        self, step: str, name: str, kind: RecordKind, by: str, begin: Callable[[Client, str], Awaitable[None]]
    ) -> None:
        """`begin` is given the client, and an SPI that the gateway chose for it: two clients may have chosen the same. The
        rekey is over with its next record of `kind`."""
        client = self.fleet[name]
        sa = client.last.get(RecordKind.ESP_UP)
        known = client.count(kind)
        async with self.step(step, name, by=by) as detail:
            detail["carried_out"] = False
            if client.up and sa is not None:
                try:
                    await begin(client, str(sa.data["spi_out"]))
                except DeviceError as error:  # a gateway that has lost the SA is a result, and no reason to break off
                    detail["why"] = str(error)
                    return
                detail["carried_out"] = await client.until(kind, REKEY_S, beyond=known) is not None

    async def come_to_rest(self, *names: str) -> None:
        """No more marks are sent, and answers under way arrive: an answer that crosses a good-bye would look like a loss."""
        clients = [self.fleet[name] for name in names]
        for client in clients:
            client.stop_marks()
        await self.fleet.until(lambda fleet: not any(client.up and client.flow.unanswered for client in clients), REST_S)

    async def dial(
        self, name: str, ready: asyncio.Event | None = None, *, patience_s: float | None = None, told: bool = True
    ) -> None:
        """The step "connect" and no view after it. `ready`: it dials once that is set. `patience_s`: another than
        the bench's. Hundreds that dial in one moment are not `told` one by one: the step is kept all the same."""
        client = self.fleet[name]
        patience_s = self.patience_s if patience_s is None else patience_s
        bus = self.bus if told else UNHEARD
        async with self.step(f"connect:{name}", name, bus=bus) as detail:
            if ready is not None:
                client.prepare()
                await ready.wait()
            client.connect()
            detail["up"] = await client.until_up(patience_s)
            if detail["up"]:
                client.send_marks(self.marks_per_s, self.mark_sizes, self.marks_to)
                detail["stages"] = self._stages(name)
                pinged = await client.until(RecordKind.PINGED, ANSWER_S)
                detail["first_answer_s"] = None if pinged is None else pinged.data["total"]
                took = ", ".join(f"{stage} {seconds:.2f} s" for stage, seconds in detail["stages"].items())
                answer = "no answer yet" if pinged is None else f"first answer after {pinged.data['total']:.2f} s"
                bus.note(f"{name} is up with {client.address}, {answer} ({took})")
            else:
                failed = client.last.get(RecordKind.FAILED)
                why = f"{failed.data['stage']}: {failed.data['reason']}" if failed else f"not after {patience_s:g} s"
                bus.note(f"{name} is not up: {why}")

    def _stages(self, name: str) -> dict[str, float]:
        """Seconds that each stage of the client's present set-up has taken."""
        return {stage.value: took for stage, took in self.fleet[name].account.took.items() if stage is not Stage.UP}

    def _tunnel(self, name: str) -> int | None:
        """The gateway's own ID of the client's tunnel, as it told the client; None where there never was one in this connection."""
        record = self.fleet[name].last.get(RecordKind.L2TP_UP)
        return None if record is None else int(record.data["tunnel_remote"])

    async def _freed(self, tunnel: int | None, spi: str | None) -> bool:
        try:
            async with asyncio.timeout(self.bench.settle_s):
                while True:
                    view = await self.gateway.view("settle")
                    if all(s.tunnel_local != tunnel for s in view.sessions) and all(s.spi != spi for s in view.sas):
                        return True
                    await self.fleet.until(lambda fleet: False, 1.0)
        except TimeoutError:
            return False

    @asynccontextmanager
    async def step(self, name: str, *clients: str, bus: StepBus | None = None, **detail: Any) -> AsyncIterator[dict[str, Any]]:
        """What is done inside is told (to another `bus` than the play's, perhaps) and kept as one step; what it learns is added to
        the detail that it is given."""
        began = self.clock.epoch(self.clock.monotonic())
        with (bus or self.bus).step(name, **detail):
            try:
                yield detail
            finally:
                ended = self.clock.epoch(self.clock.monotonic())
                self.gathered.steps.append(Step(name, began, ended, clients, detail))
