"""A guest of its own in an enclosure: boots, obeys, dies; as root on a tap and as an ordinary user on a raw socket."""

import asyncio
import os
import subprocess
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from enclosed import enclosed

from harness.errors import DeviceError, LabError
from harness.lab import kernel_modules, packages
from harness.lab.uml import GuestPlan, UmlGuest

pytestmark = pytest.mark.lab


@dataclass(frozen=True)
class Here:
    """An attachment in the caller's own network namespace."""

    kind: str
    interface: str
    netns: str = ""


def ip(*lines):
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines) + "\n", text=True, check=True)


def tap():
    ip("tuntap add dev gw0 mode tap", "link set gw0 up", "address add 203.0.113.1/24 dev gw0", "link set lo up")
    return Here("tap", "gw0")


def raw():
    ip("link add gw0 type veth peer name gw1", "link set gw0 up", "link set gw1 up", "address add 203.0.113.1/24 dev gw1")
    for interface in ("gw0", "gw1"):
        subprocess.run(["ethtool", "-K", interface, "tx", "off"], check=True, stdout=subprocess.DEVNULL)
    return Here("raw", "gw0")


def plan(attachment, **changes):
    scratch = Path("/tmp/a guest's scratch")  # a blank in the path must not matter
    scratch.mkdir(exist_ok=True)
    settings = {"packages": packages.guest_directory(), "modules": kernel_modules.for_gateway("demux"), **changes}
    return GuestPlan("guest", attachment, scratch, ["203.0.113.2/24"], **settings)


@asynccontextmanager
async def booted(attachment, **changes):
    guest = UmlGuest(plan(attachment, **changes))
    await guest.start()
    try:
        yield guest
    finally:
        await guest.stop()


def helpers():
    """Processes of User Mode Linux that are left."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if b"linux.uml" in command.split(b"\0")[0]:
                found.append(entry.name)
    return found


async def gone():
    """A process that was killed may take a moment to go."""
    async with asyncio.timeout(10):
        while helpers():
            await asyncio.sleep(0.01)


async def use(attachment):
    async with booted(attachment) as guest:
        found = await guest.execute("command -v xl2tpd; ls /usr/lib/ipsec/charon; id -u; cat /proc/sys/kernel/hostname")
        assert found.output.split() == ["/usr/sbin/xl2tpd", "/usr/lib/ipsec/charon", "0", "guest"]
        # the whole path of a packet, both ways
        assert (await guest.execute("ping -c 2 -i 0.2 -W 5 203.0.113.1", 20)).status == 0
        # what the guest writes stays in the guest
        await guest.execute("echo guest > /etc/natstorm-test; rm -f /etc/passwd; echo shared > /run/exchange/shared")
        assert (await guest.execute("cat /etc/natstorm-test")).output == "guest\n"
        assert not Path("/etc/natstorm-test").exists()
        assert Path("/etc/passwd").exists()
        assert (guest.exchange / "shared").read_text() == "shared\n"
        # every algorithm that the variants offer is there, with modprobe out of the way
        for encryption, key in (("cbc(aes)", 16), ("cbc(aes)", 32), ("cbc(des3_ede)", 24)):
            for digest, length, cut in (("hmac(sha1)", 20, 96), ("hmac(sha256)", 32, 128)):
                keys = f"enc '{encryption}' 0x{bytes(range(1, key + 1)).hex()} auth-trunc '{digest}' 0x{'11' * length} {cut}"
                add = f"ip xfrm state add src 10.1.1.1 dst 10.1.1.2 proto esp spi 0x{key}{cut} mode transport {keys}"
                assert (await guest.execute(f"{add} encap espinudp 4500 4500 0.0.0.0")).output == ""
    await gone()


@enclosed
def test_a_guest_on_a_tap():
    asyncio.run(use(tap()))


@enclosed(rootless=True, timeout=120)
def test_a_guest_of_an_ordinary_user_on_a_raw_socket():
    assert os.stat("/etc/shadow").st_uid != 0, "root of a user namespace does not own the machine's files"
    asyncio.run(use(raw()))


@enclosed
def test_death_ends_what_is_under_way_and_leaves_no_process():
    async def body():
        guest = UmlGuest(plan(tap()))
        await guest.start()
        job = guest.spawn("echo begun; exec sleep 600")
        await job.seen("begun", 10)
        os.kill(guest.pid, 9)
        with pytest.raises(DeviceError, match="guest guest ended with status -9"):
            async with asyncio.timeout(10):
                await job.wait()
        with pytest.raises(LabError, match="ended with status -9"):
            await guest.execute("true")
        assert guest.died.is_set()
        await guest.stop()
        await gone()

    asyncio.run(body())


@enclosed
def test_a_kill_takes_the_helpers_with_it():
    async def body():
        async with booted(tap()) as guest:
            await guest.execute("for n in 1 2 3; do sleep 600 >/dev/null 2>&1 & done")
            assert len(helpers()) > 3
            await guest.kill()
            await gone()

    asyncio.run(body())


@enclosed
def test_a_boot_that_fails_says_what_the_guest_said():
    async def body():
        attachment = tap()
        guest = UmlGuest(plan(attachment, packages=Path("/no/such/packages")))
        with pytest.raises(LabError, match=r"boot of guest guest: .*hostfs.*/no/such/packages"):
            await guest.start()
        await gone()
        with pytest.raises(LabError, match="has no module no_such_module"):
            await UmlGuest(plan(attachment, modules=("no_such_module",))).start()
        with pytest.raises(LabError, match="no transport 'pigeon'"):
            await UmlGuest(plan(Here("pigeon", "gw0"))).start()

    asyncio.run(body())


@enclosed
def test_a_guest_whose_interface_is_not_there():
    async def body():
        with pytest.raises(LabError, match="boot of guest guest"):
            await UmlGuest(plan(Here("raw", "nowhere0"))).start()
        await gone()

    asyncio.run(body())


@enclosed
def test_a_start_that_is_cancelled_leaves_nothing():
    async def body():
        starting = asyncio.create_task(UmlGuest(plan(tap())).start())
        while not helpers():
            await asyncio.sleep(0.01)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        await gone()

    asyncio.run(body())
