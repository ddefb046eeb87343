"""The life of a lab with a gateway of the test's own making: what is built when, and what happens when something fails."""

import asyncio
from pathlib import Path

import pytest
from enclosed import enclosed
from leftovers import assert_nothing_left, snapshot

from harness.errors import DeviceError, LabError, UsageError
from harness.lab import enclosure
from harness.lab.namespaces import Netns
from harness.lab.software import Lab
from harness.testbed import check

lab = pytest.mark.lab


class Gateway:
    """Notes what is done to it; fails where it is told to."""

    def __init__(self, variant, attachment, scratch, done, fails):
        self.variant, self.attachment, self.scratch, self.done, self.fails = variant, attachment, scratch, done, fails
        self.running = False

    async def start(self):
        self.done.append(f"start {self.variant}")
        if self.fails is not None:
            raise self.fails
        self.running = True

    async def stop(self):
        self.done.append(f"stop {self.variant}")
        self.running = False


def make(fails=None):
    done = []
    testbed = check(enclosure.ROOT / "testbeds/linux.yaml")

    def make_gateway(testbed, variant, attachment, scratch):
        assert attachment == held.topology.attachment
        done.append(f"make {variant} in {scratch.name}")
        return Gateway(variant, attachment, scratch, done, (fails or {}).get(variant))

    held = Lab(testbed, Path("/tmp/lab"), make_gateway, tell=done.append)
    return held, done


def before_it() -> object:
    Netns.create("first").delete()  # leaves /run/netns a mount of its own, for good
    Path("/tmp/lab").mkdir()
    return snapshot()


SCRATCH = "files: /tmp/lab/"  # stays with the enclosure, for whoever wants to read a guest's console


@lab
@enclosed
def test_one_gateway_after_another_on_nodes_that_stay():
    before = before_it()
    held, done = make()

    async def play() -> None:
        await held.up()
        assert held.variant == "plain-kernel"
        first = held.gateway
        inode = held.clients.path.stat().st_ino
        await held.replace_gateway("demux-user")
        assert (held.variant, first.running, held.gateway.running) == ("demux-user", False, True)
        assert held.clients.path.stat().st_ino == inode
        await held.down()
        await held.down()

    asyncio.run(play())
    assert done[:8] == [
        "build the nodes",
        "start the gateway, plain-kernel",
        "make plain-kernel in gateway-1",
        "start plain-kernel",
        "stop the gateway",
        "stop plain-kernel",
        "clear the NAT",
        "start the gateway, demux-user",
    ]
    assert done.count("stop demux-user") == 1
    assert set(held.took) >= {"build the nodes", "start the gateway, demux-user", "clear the NAT", "remove the nodes"}
    assert_nothing_left(before, ignore=SCRATCH)


FAILURES = {
    "lab": (LabError("boot of guest gateway", "silent", "cure"), "boot of guest gateway", "silent"),
    "device": (DeviceError("gateway", "start", "no charon"), "start the gateway, plain-kernel", "gateway: 'start': no charon"),
    "system": (OSError(28, "No space left"), "start the gateway, plain-kernel", "[Errno 28] No space left"),
}


def fail_at_the_first(how: str) -> None:
    error, step, seen = FAILURES[how]
    before = before_it()
    held, done = make({"plain-kernel": error})
    with pytest.raises(LabError) as caught:
        asyncio.run(held.up())
    assert (caught.value.step, caught.value.seen) == (step, seen)
    assert caught.value.cure
    assert "stop plain-kernel" in done
    assert done[-1] == "remove the nodes"
    assert_nothing_left(before, ignore=SCRATCH)


@lab
@enclosed
def test_a_gateway_that_does_not_boot():
    fail_at_the_first("lab")


@lab
@enclosed
def test_a_gateway_whose_daemons_do_not_start():
    fail_at_the_first("device")


@lab
@enclosed
def test_a_full_disk():
    fail_at_the_first("system")


@lab
@enclosed
def test_the_second_gateway_fails():
    before = before_it()
    held, done = make({"demux-user": DeviceError("gateway", "start", "no")})

    async def play() -> None:
        await held.up("plain-user")
        await held.replace_gateway("demux-user")

    with pytest.raises(LabError, match="start the gateway, demux-user"):
        asyncio.run(play())
    assert [word for word in done if word.startswith("stop ")] == [
        *("stop the gateway", "stop plain-user"),
        *("stop the gateway", "stop demux-user"),
    ]
    assert_nothing_left(before, ignore=SCRATCH)


@lab
@enclosed
def test_cancelled_on_the_way_up():
    before = before_it()
    held, done = make()

    async def hang() -> None:
        done.append("hanging")
        await asyncio.Event().wait()

    original = held._make_gateway

    def make_gateway(*arguments):
        gateway = original(*arguments)
        gateway.start = hang
        return gateway

    held._make_gateway = make_gateway

    async def play() -> None:
        coming = asyncio.create_task(held.up())
        while "hanging" not in done:
            await asyncio.sleep(0)
        coming.cancel()
        with pytest.raises(asyncio.CancelledError):
            await coming

    asyncio.run(play())
    assert "stop plain-kernel" in done
    assert_nothing_left(before, ignore=SCRATCH)


def test_an_unknown_variant_is_a_mistake_before_anything_is_built():
    held, done = make()
    with pytest.raises(UsageError, match="no gateway variant 'demux'") as caught:
        asyncio.run(held.up("demux"))
    assert "demux-kernel" in caught.value.cure
    assert done == []


def test_there_is_no_gateway_before_the_lab_is_up():
    held, _ = make()
    with pytest.raises(LabError, match="there is none"):
        held.gateway  # noqa: B018
