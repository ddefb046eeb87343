"""The bench of devices that are there already: NAT and gateway reached over SSH, the clients on one interface of this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from harness.devices.linux_nat import LinuxNat
from harness.devices.ssh import SshConnection
from harness.devices.ssh_stream import SshStream
from harness.errors import CaptureError, DeviceError, UsageError
from harness.lab.field import FieldLab
from harness.lab.field_gateways import FieldGateway
from harness.lab.namespaces import Netns
from harness.model import CaptureFacts, Side
from harness.model.reach import CaptureSource
from harness.model.steps import StepBus
from harness.model.testbed import Testbed
from harness.probes.capture import Capture
from harness.probes.remote_capture import RemoteCapture, tcpdump_command
from harness.scenario.script import Script
from harness.scenario.wall_bench import Capturing, WallBench


class FieldBench(WallBench):
    """The devices are reached, and the interface lent, at the first scenario; each scenario gets a gateway configured anew."""

    def __init__(self, testbed: Testbed, bus: StepBus, loop: asyncio.Runner) -> None:
        super().__init__(testbed, bus, loop)
        self.lab = FieldLab(testbed, bus.note)
        self._up = False
        self._trouble: list[str] = []

    @property
    def node(self) -> FieldGateway:
        return self.lab.gateway

    @property
    def nat(self) -> LinuxNat:
        return self.lab.nat

    @property
    def clients(self) -> Netns:
        return self.lab.clients

    async def fresh(self, variant: str, script: Script) -> None:
        if script.nat is not None:
            problem = f"{script.name} wants the NAT {script.nat!r}, and the NAT is a box that is there"
            raise UsageError(problem, file=self.testbed.file, cure="play it on testbeds/virtual.yaml")
        if not self._up:
            await self.lab.up()
            self._up = True
        await self.lab.fresh_gateway(variant, time_scale=script.time_scale, changes=script.gateway)
        self.tell_scaled(variant, script.time_scale)

    def captures(self, folder: Path) -> Sequence[Capturing]:
        nat = self.testbed.nat
        return (
            self._capture(Side.OUTSIDE, nat.outside_capture, folder / "outside.pcap"),
            self._capture(Side.INSIDE, nat.inside_capture, folder / "inside.pcap"),
        )

    async def rest(self) -> None:
        """All clients are simulated: they rest already."""

    def trouble(self) -> list[str]:
        found, self._trouble = self._trouble, []
        return found

    def close(self) -> None:
        """Gives back what was lent, and leaves the devices as they were. Safe after any failure."""
        if self._up:
            self._up = False
            self._loop.run(self.lab.down())

    def _capture(self, side: Side, source: CaptureSource | None, path: Path) -> Capturing:
        if source is None:
            cure = f"name one: devices.nat.custom.capture.{side.value}"
            raise UsageError(f"nothing captures the NAT's {side.value}", file=self.testbed.file, cure=cure)
        if source.kind == "nic":
            return Capture(side, None, source.interface, path)
        if source.kind != "tcpdump" or source.connection is None:
            raise UsageError(f"no capture by {source.kind} yet", file=self.testbed.file, cure="tcpdump or nic")
        return OverSsh(self.lab, side, source, path)


class OverSsh:
    """tcpdump on a device, its capture coming over the connection as it grows."""

    def __init__(self, lab: FieldLab, side: Side, source: CaptureSource, path: Path) -> None:
        self._lab = lab
        self._side = side
        self._source = source
        self._path = path
        self._capture: RemoteCapture | None = None

    async def start(self) -> None:
        source = self._source
        assert source.connection is not None
        device = await self._lab.reach(source.connection)
        management = (source.connection.host, source.connection.port)
        command = tcpdump_command(source.interface, management=management)
        try:
            stream = await Pulled.begin(device, command)
        except DeviceError as error:
            raise CaptureError(f"no capture on {source.interface} of {device.name}: {error}") from error
        self._capture = RemoteCapture(self._side, f"{source.interface} of {device.name}", stream, self._path)
        await self._capture.start()

    async def stop(self) -> CaptureFacts:
        if self._capture is None:
            raise CaptureError(f"the capture on {self._source.interface} was never started")
        return await self._capture.stop()


class Pulled:
    """An SSH stream, which pushes, for a reader that pulls."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._pieces: asyncio.Queue[bytes] = asyncio.Queue()
        self._stream: SshStream | None = None
        self._ending: asyncio.Task[None] | None = None

    @classmethod
    async def begin(cls, device: SshConnection, command: str) -> Pulled:
        pulled = cls(asyncio.get_running_loop())
        pulled._stream = await device.stream(command, pulled._take)
        pulled._ending = asyncio.create_task(pulled._end())
        return pulled

    async def read(self) -> bytes:
        piece = await self._pieces.get()
        if piece:
            return piece
        self._pieces.put_nowait(b"")  # whoever asks again hears the same
        assert self._stream is not None
        await self._wait()
        return b""

    async def stop(self) -> None:
        assert self._stream is not None
        self._stream.signal("INT")

    @property
    def stderr(self) -> str:
        return "" if self._stream is None else self._stream.said

    def _take(self, piece: bytes) -> None:
        self._loop.call_soon_threadsafe(self._pieces.put_nowait, piece)

    async def _end(self) -> None:
        with suppress(EOFError):
            await self._wait()
        self._pieces.put_nowait(b"")

    async def _wait(self) -> None:
        """EOFError where the connection was cut."""
        assert self._stream is not None
        try:
            await self._stream.wait()
        except DeviceError as error:
            raise EOFError(str(error)) from error
