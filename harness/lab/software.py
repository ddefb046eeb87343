"""A lab of software alone: the nodes, which stay, and on them one gateway after another, of any variant."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from harness.errors import LabError, NatstormError, UsageError, typed
from harness.lab.namespaces import Netns
from harness.lab.nats import Nat
from harness.lab.topology import Attachment, Topology
from harness.model.testbed import Testbed


class Gateway(Protocol):
    """What a lab asks of its gateway; scenarios know the concrete class and ask more."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    @property
    def running(self) -> bool: ...


MakeGateway = Callable[[Testbed, str, Attachment, Path], Gateway]
"""(testbed, variant, attachment, a new directory of its own on the enclosure's tmpfs) → a gateway that is not yet started."""


class Lab:
    """`up`, then any number of `replace_gateway`, then `down`. What fails on the way up raises LabError, with all taken down.

    `scratch` is a directory for the guests' files; `tell` hears the name of every step as it begins.
    """

    def __init__(
        self, testbed: Testbed, scratch: Path, make_gateway: MakeGateway, tell: Callable[[str], None] = lambda step: None
    ) -> None:
        self.testbed = testbed
        self.topology = Topology(testbed)
        self.variant: str | None = None
        self.took: dict[str, float] = {}  # seconds of every step, the latest of its name
        self._gateway: Gateway | None = None
        self._scratch = scratch
        self._make_gateway = make_gateway
        self._tell = tell
        self._guests = 0

    @property
    def nat(self) -> Nat:
        return self.topology.nat

    @property
    def clients(self) -> Netns:
        return self.topology.clients

    @property
    def gateway(self) -> Gateway:
        if self._gateway is None:
            raise LabError("use the gateway", "there is none at present", "bring the lab up first")
        return self._gateway

    async def up(self, variant: str | None = None) -> None:
        """Builds the nodes and starts a gateway of `variant` (default: the testbed's first)."""
        chosen = self._known(variant or self.testbed.gateway.variants[0])
        try:
            with self._step("build the nodes"):
                self.topology.up()
            await self._start_gateway(chosen)
        except BaseException:
            await self.down()
            raise

    def use_nat(self, personality: str | None) -> None:
        """The NAT of that personality from now on, of the userland; None: the testbed's own."""
        if personality != self.topology.personality:
            with self._step(f"change the NAT: {personality or self.testbed.nat.personality or 'kernel'}"):
                self.topology.use_nat(personality)

    async def replace_gateway(self, variant: str) -> None:
        """A fresh gateway in the place of the present one. The NAT forgets its mappings and who its neighbours were."""
        chosen = self._known(variant)
        try:
            await self._stop_gateway()
            with self._step("clear the NAT"):
                self.nat.forget_everything()
                self.nat.flush_neighbours()
            await self._start_gateway(chosen)
        except BaseException:
            await self.down()
            raise

    async def down(self) -> None:
        """Takes down whatever is up. Safe at any time, and twice."""
        try:
            await self._stop_gateway()
        finally:
            with self._step("remove the nodes"):
                self.topology.down()

    def _known(self, variant: str) -> str:
        if variant not in self.testbed.gateway.variants:
            cure = f"one of {', '.join(self.testbed.gateway.variants)}"
            raise UsageError(f"no gateway variant {variant!r} in this testbed", file=self.testbed.file, cure=cure)
        return variant

    async def _start_gateway(self, variant: str) -> None:
        attachment = self.topology.attachment
        if attachment is None:
            raise LabError("start the gateway", "there are no nodes to attach it to", "bring the lab up first")
        self._guests += 1
        scratch = self._scratch / f"gateway-{self._guests}"
        scratch.mkdir(parents=True)
        with self._step(f"start the gateway, {variant}"):
            self._gateway = self._make_gateway(self.testbed, variant, attachment, scratch)
            await self._gateway.start()
        self.variant = variant

    async def _stop_gateway(self) -> None:
        gateway, self._gateway, self.variant = self._gateway, None, None
        if gateway is not None:
            with self._step("stop the gateway"):
                await gateway.stop()

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        """Tells of a step, times it, and turns what went wrong in it into a LabError that names it, and a cure."""
        self._tell(name)
        began = time.monotonic()
        try:
            yield
        except UsageError:
            raise
        except LabError as error:
            if error.cure is not None:
                raise
            raise LabError(error.step, error.seen, f"{typed('doctor')} names what the machine lacks") from error
        except (NatstormError, OSError) as error:
            raise LabError(name, str(error), f"{typed('doctor')} names what the machine lacks") from error
        finally:
            self.took[name] = time.monotonic() - began
