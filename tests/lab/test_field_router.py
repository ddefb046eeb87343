"""A router as a testbed's gateway: what it is configured with, what captures behind it, and what is given back whatever fails."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.devices.journal import Journal
from harness.errors import DeviceError, UsageError
from harness.lab import field_router
from harness.lab.field_gateways import field_gateway
from harness.lab.field_router import RouterGateway, lns_of
from harness.testbed import check

TESTBEDS = Path(__file__).resolve().parents[2] / "testbeds"


@pytest.fixture
def known(tmp_path, monkeypatch):
    for name in ("id", "known_hosts"):
        (tmp_path / name).write_text("")
    monkeypatch.setenv("NATSTORM_BOX", str(tmp_path))
    return check(TESTBEDS / "bench-in-a-box-ios.yaml")


class Host:
    """The session with the host behind the router; `did` is what was run there."""

    name = "host"

    def __init__(self, connection):
        self.connection = connection
        self.did = []
        self.status = 0

    async def execute(self, script, timeout=30.0):
        self.did.append(script)
        return SimpleNamespace(status=self.status, output="")


class Captured:
    def __init__(self, machine, networks, interface):
        self.machine, self.networks, self.interface = machine, networks, interface

    async def start(self):
        pass

    async def stop(self, folder):
        return f"captured on {self.interface}"


@pytest.fixture
def gateway(known, tmp_path, monkeypatch):
    made = []

    def far_end(*how):
        made.append(Captured(*how))
        return made[-1]

    monkeypatch.setattr(field_router.witness, "far_end", far_end)
    host = Host(known.gateway.end_host_connection)
    book = Journal.create("lab", "lab.yaml", tmp_path / "restore")
    one = RouterGateway(known, "demux", host, book)
    return SimpleNamespace(one=one, host=host, book=book, made=made, folder=tmp_path)


def test_it_is_configured_with_the_testbed_s_values(known):
    lns = lns_of(known, "demux")
    assert (lns.interface, lns.ppp_address, lns.peer) == ("FastEthernet0/0", "172.16.0.1", "203.0.113.232")
    assert (lns.pool_first, lns.pool_last) == ("172.16.0.10", "172.16.15.200")
    assert (len(lns.users), lns.users["user30"].reveal(), lns.psk.reveal()) == (30, "pw30", "sharedsecret")
    assert [lns_of(known, variant).demux for variant in ("demux", "plain")] == [True, False]


def test_the_far_end_is_captured_on_the_host_and_its_directory_goes(gateway):
    async def play():
        await gateway.one.start_witnesses()
        (one,) = gateway.made
        assert one.interface == "lan0"
        assert "172.16.0.12/30" in one.networks
        assert len(gateway.book.open) == 1  # the directory on the host is to be removed
        assert await gateway.one.stop_witnesses(gateway.folder) == ["captured on lan0"]

    asyncio.run(play())
    assert gateway.book.open == ()
    assert [script.split()[0] for script in gateway.host.did] == ["mkdir", "rm"]


def test_without_a_host_nothing_is_captured(known, gateway):
    alone = replace(known, gateway=replace(known.gateway, end_host=None, end_host_connection=None))
    for testbed, host in ((alone, gateway.host), (known, None)):
        one = RouterGateway(testbed, "demux", host, gateway.book)

        async def play(one=one):
            await one.start_witnesses()
            return await one.stop_witnesses(gateway.folder)

        assert asyncio.run(play()) == []
    assert gateway.host.did == []
    assert asyncio.run(gateway.one.events()) == ()


def test_where_the_router_is_not_put_back_the_host_is_all_the_same(gateway, monkeypatch):
    """And what failed may be tried again."""
    tries = []

    async def restore():
        tries.append(1)
        if len(tries) == 1:
            raise DeviceError("gateway", "put it back", "it did not")

    monkeypatch.setattr(gateway.one.driver, "restore", restore)

    async def play():
        await gateway.one.start_witnesses()
        with pytest.raises(DeviceError, match="it did not"):
            await gateway.one.stop()
        assert gateway.book.open == ()
        await gateway.one.stop()

    asyncio.run(play())
    assert len(tries) == 2
    assert gateway.host.did[-1].startswith("rm -rf -- /tmp/natstorm-run.")


@pytest.mark.parametrize("with_host", [True, False])
def test_settings_of_a_scenario_s_own_are_refused(known, gateway, with_host):
    host = gateway.host if with_host else None
    with pytest.raises(UsageError, match=r"takes no settings of its own \(hello\)"):
        field_gateway(known, "demux", host, gateway.book, changes={"hello": 1.0})
    assert isinstance(field_gateway(known, "plain", host, gateway.book, time_scale=10.0, changes={}), RouterGateway)
