"""A client that is a machine of its own, in a fleet beside others: a scripted machine stands for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from harness.clients.client import Client, State
from harness.clients.fleet import Fleet
from harness.devices import linux_client_log as fact
from harness.devices.linux_client import ClientSettings
from harness.errors import DeviceError
from harness.model import RecordKind, Secret, Stage
from harness.wire import ip

SETTINGS = ClientSettings("127.0.0.2", "127.0.0.1", Secret("s"), "user1", Secret("pw1"))
ADDRESS, PEER = "172.16.0.10", "172.16.0.1"
SET_UP = (
    fact.Began(),
    fact.IkeEstablished(bytes(8), bytes(7) + b"\1", "aes-128", "sha1", "modp2048", True, False, bytes(16), bytes(16)),
    fact.EspEstablished(1, 2, "udp-transport", "aes-128", "sha1", bytes(16), bytes(20), bytes(16), bytes(20)),
    fact.TunnelEstablished(11, 12),
    fact.CallEstablished(21, 22),
    fact.LcpOpened(1400, "mschapv2"),
    fact.LoggedIn("mschapv2", "welcome"),
    fact.AddressGiven(ADDRESS, PEER, ()),
)


class Scripted:
    """Says `facts` when it is dialled, or raises `refuses`; answers every echo as a far end would."""

    settings = SETTINGS
    mru = 1280

    def __init__(self) -> None:
        self.facts: tuple[fact.Fact, ...] = SET_UP
        self.refuses: Exception | None = None
        self.called: list[str] = []
        self.sent: list[bytes] = []

    async def connect(self, hear: Callable[[fact.Fact], None], packet: Callable[[bytes], None]) -> None:
        self.called.append("connect")
        self.hear, self.packet = hear, packet
        for one in self.facts:
            hear(one)
        if self.refuses is not None:
            raise self.refuses

    async def disconnect(self) -> None:
        self.called.append("disconnect")
        self.hear(fact.Down("tunnel", False, 0, "Goodbye!"))

    async def delete_ipsec(self) -> None:
        self.called.append("delete_ipsec")

    async def rekey_ipsec(self) -> None:
        raise DeviceError("c1", "rekey", "no answer")

    async def rekey_ike(self) -> None:
        self.hear(SET_UP[1])

    async def kill(self) -> None:
        self.called.append("kill")

    def send(self, packet: bytes) -> bool:
        self.sent.append(packet)
        found = ip.parse_ipv4(packet)
        reply = b"\0" + found.payload[1:2] + bytes(2) + found.payload[4:]
        reply = reply[:2] + ip.checksum(reply).to_bytes(2, "big") + reply[4:]
        self.packet(ip.build_ipv4(found.destination, found.source, ip.ICMP, reply, identification=1))
        return True


Body = Callable[[Client, Scripted, Fleet], Awaitable[None]]


@pytest.fixture
def play(bench: Any) -> Callable[[Body], None]:
    def run(body: Body) -> None:
        async def main() -> None:
            machine = Scripted()
            async with await bench.fleet(machines={"c1": machine}) as fleet:
                await body(fleet.add(bench.plan(1)), machine, fleet)

        asyncio.run(main())

    return run


def kinds(client: Client, fleet: Fleet) -> list[RecordKind]:
    return [r.kind for r in fleet.journal.records if r.client == client.name]


async def up(client: Client) -> None:
    client.connect()
    assert await client.until_up(5)


def test_it_has_the_account_of_a_simulated_client(play: Any) -> None:
    async def body(client: Client, machine: Scripted, fleet: Fleet) -> None:
        await up(client)
        assert client.address == ADDRESS
        found = [r for r in fleet.journal.records if r.client == client.name]
        assert [r.data["stage"] for r in found if r.kind is RecordKind.STAGE] == [stage.value for stage in Stage]
        assert kinds(client, fleet).count(RecordKind.STARTED) == 1
        keys = (fleet.journal._keys.path).read_text().splitlines()
        assert len(keys) == 3  # one ISAKMP SA, two ESP SAs

    play(body)


def test_its_marks_go_out_by_its_own_link_and_come_back(play: Any) -> None:
    async def body(client: Client, machine: Scripted, fleet: Fleet) -> None:
        await up(client)
        client.send_marks(50)
        assert await client.until(RecordKind.MARK_ANSWERED, 5, beyond=2)
        assert all(ip.parse_ipv4(packet).source == ADDRESS for packet in machine.sent)
        assert max(len(packet) for packet in machine.sent) <= machine.mru

    play(body)


def test_what_its_own_kernel_answers_is_not_answered_twice(play: Any) -> None:
    async def body(client: Client, machine: Scripted, fleet: Fleet) -> None:
        await up(client)
        request = ip.build_echo(ip.Echo(True, 7, 1, b"are you there"))
        machine.packet(ip.build_ipv4(PEER, ADDRESS, ip.ICMP, request, identification=1))
        assert machine.sent == []

    play(body)


def test_it_hangs_up_and_can_come_back(play: Any) -> None:
    async def body(client: Client, machine: Scripted, fleet: Fleet) -> None:
        await up(client)
        client.disconnect()
        assert await fleet.until(lambda fleet: not client.connected, 5)
        assert client.last[RecordKind.ENDED].data["by"] == "client"
        await up(client)
        assert client.life == 2
        assert machine.called[:3] == ["connect", "disconnect", "connect"]

    play(body)


def test_it_vanishes_at_once(play: Any) -> None:
    async def body(client: Client, machine: Scripted, fleet: Fleet) -> None:
        await up(client)
        client.vanish()
        machine.hear(fact.Down("tunnel", False, 0, "too late to be told"))
        assert client.state is State.IDLE
        await asyncio.sleep(0)
        assert machine.called == ["connect", "kill"]
        assert kinds(client, fleet).count(RecordKind.ENDED) == 1

    play(body)


@pytest.mark.parametrize(("by_peer", "by"), [(True, "gateway"), (False, "silence")])
def test_an_end_that_is_not_its_own_takes_its_ipsec_down_too(play: Any, by_peer: bool, by: str) -> None:
    async def body(client: Client, machine: Scripted, fleet: Fleet) -> None:
        await up(client)
        machine.hear(fact.Down("call", by_peer, 0, "that was it"))
        assert await fleet.until(lambda fleet: not client.connected, 5)
        assert client.last[RecordKind.ENDED].data["by"] == by
        assert machine.called == ["connect", "delete_ipsec", "kill"]

    play(body)


def test_a_set_up_that_fails_names_its_stage(play: Any) -> None:
    async def body(client: Client, machine: Scripted, fleet: Fleet) -> None:
        machine.facts, machine.refuses = SET_UP[:2], DeviceError("c1", "initiate", "NO_PROPOSAL_CHOSEN")
        client.connect()
        assert not await client.until_up(5)
        failed = client.last[RecordKind.FAILED].data
        assert (failed["stage"], failed["reason"]) == ("quick mode", "NO_PROPOSAL_CHOSEN")
        assert client.state is State.IDLE

    play(body)


def test_a_link_that_never_came_up_is_a_failure(play: Any) -> None:
    async def body(client: Client, machine: Scripted, fleet: Fleet) -> None:
        machine.facts = (*SET_UP[:4], fact.Down("tunnel", False, 0, "the gateway no longer acknowledges"))
        client.connect()
        assert not await client.until_up(5)
        assert client.last[RecordKind.FAILED].data["stage"] == "L2TP session"

    play(body)


def test_rekeys_and_their_failures_are_told(play: Any) -> None:
    async def body(client: Client, machine: Scripted, fleet: Fleet) -> None:
        await up(client)
        client.rekey_ike()
        again = await client.until(RecordKind.IKE_UP, 5, beyond=1)
        assert again is not None
        assert again.data["rekey"]
        client.rekey_ipsec()
        failed = await client.until(RecordKind.REKEY_FAILED, 5)
        assert failed is not None
        assert dict(failed.data) == {"stage": "quick mode", "reason": "no answer"}
        assert client.up

    play(body)


def test_a_machine_that_breaks_is_the_harnesss_own_defect(play: Any) -> None:
    async def body(client: Client, machine: Scripted, fleet: Fleet) -> None:
        machine.refuses = RuntimeError("out of order")
        client.connect()
        await fleet.until(lambda fleet: bool(fleet.impaired), 5)
        assert "out of order" in str(fleet.impaired[0].data["reason"])

    play(body)
