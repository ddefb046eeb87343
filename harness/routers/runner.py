"""Plays scripts for routers, one after another, and keeps the evidence of each: here in virtual time, in `field_runner` in the
wall's."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Protocol, Self

from harness.errors import CaptureError, DeviceError, LabError
from harness.model import CaptureFacts, Evidence, Told
from harness.model.redact import Redactor
from harness.model.steps import StepBus
from harness.probes.dissect import Addresses, Dissection, Dissector
from harness.probes.words import frames_with
from harness.routers.esp_lab import SimulatedEsp
from harness.routers.esp_play import EspPlay
from harness.routers.l2tp_lab import SimulatedL2tp
from harness.routers.l2tp_play import L2tpPlay
from harness.routers.makers import Makers
from harness.routers.play import Gathered, Lab
from harness.routers.script import ESP, L2TP, RouterScript
from harness.simulation.loop import SimulatedLoop

LABS: Mapping[str, tuple[Any, Any]] = {L2TP: (SimulatedL2tp, L2tpPlay), ESP: (SimulatedEsp, EspPlay)}
"""By world: the laboratory in virtual time, and the steps that can be taken in it."""
NOTHING_ELSE = Makers()


class PlayedLab(Lab, Protocol):
    """A laboratory once a script was played in it."""

    @property
    def addresses(self) -> Addresses: ...


class RunnerBase(ABC):
    """`redactor` takes the testbed's secrets out of what devices say. A context manager."""

    time: ClassVar[str]

    def __init__(self, bus: StepBus, redactor: Redactor) -> None:
        self._bus = bus
        self._redactor = redactor
        self._dissector = Dissector()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._dissector.close()

    def variant(self, script: RouterScript) -> str:
        """Under what its evidence stands in the report."""
        return script.release

    def release(self, script: RouterScript) -> str:
        """The routers'."""
        return script.release

    @abstractmethod
    def _perform(self, script: RouterScript, gathered: Gathered, captures: list[CaptureFacts], folder: Path) -> PlayedLab:
        """Plays it, while the captures run. The wire's is the first of them."""

    def play(self, script: RouterScript, *, folder: Path, testbed: str, clear_expected: bool = False) -> Evidence:
        """Plays it in a fresh laboratory; its files are in `folder`. What goes wrong while it is played is in the evidence's
        `trouble`. DeviceError where a router does not take the configuration that the script begins with."""
        gathered, captures = Gathered(), list[CaptureFacts]()
        lab = self._perform(script, gathered, captures, folder)
        keys = folder / "keys.jsonl"
        seen = Dissection()
        with self._bus.step("dissect the captures"):
            try:
                seen = self._dissector.dissect(
                    {facts.side: facts.path for facts in captures},
                    keys=keys if keys.exists() else None,
                    addresses=lab.addresses,
                    decrypted=folder / "decrypted.pcap",
                    decrypted_side=captures[0].side,
                    null_esp=script.null,
                )
                wires: dict[str, Path | str] = {captures[0].side.value: captures[0].path, "decrypted": folder / "decrypted.pcap"}
                gathered.told += searched(script, lab.epoch(), wires)
            except CaptureError as error:
                gathered.trouble.append(str(error))
        gathered.trouble += [f"the {side.value} capture is damaged: {why}" for side, why in seen.damaged.items()]
        logs = {device: self._redactor.text(text) for device, text in transcripts(gathered).items()}
        (folder / "devices").mkdir(exist_ok=True)
        for device, text in logs.items():
            (folder / "devices" / f"{device}.log").write_text(text, encoding="utf-8")
        return Evidence(
            scenario=script.name,
            testbed=testbed,
            variant=self.variant(script),
            plans=(),
            steps=tuple(gathered.steps),
            records=(),
            observations=seen,
            captures=tuple(captures),
            pairs=(),
            identities=(),
            gateway_address=lab.addresses.gateway,
            nat_outside=lab.addresses.nat_outside,
            logs=logs,
            attachments={facts.path.rpartition("/")[2]: facts.path for facts in captures},
            trouble=tuple(gathered.trouble),
            clear_expected=clear_expected,
            time=self.time,
            release=self.release(script),
            printed=tuple(gathered.printed),
            logged=tuple(gathered.logged),
            told=tuple(gathered.told),
        )

    async def _steps(self, script: RouterScript, play: Any, gathered: Gathered) -> None:
        """What the script does, to its end or to where it cannot go on."""
        try:
            async with asyncio.timeout(script.overrun_s):
                await script.run(play)
        except TimeoutError:
            gathered.trouble.append(f"the scenario was not over after {script.overrun_s:g} s")
        except (DeviceError, LabError) as error:
            gathered.trouble.append(str(error))
        await play.come_to_rest()


class RouterRunner(RunnerBase):
    """`seed` decides what chance does.

    with RouterRunner(bus, Redactor(testbed.secrets)) as runner:
        evidence = runner.play(script, folder=folder, testbed="virtual-ios")
    """

    time = "virtual"

    def __init__(self, bus: StepBus, redactor: Redactor, *, seed: int = 1, makers: Makers = NOTHING_ELSE) -> None:
        super().__init__(bus, redactor)
        self._seed = seed
        self._makers = makers

    def _perform(self, script: RouterScript, gathered: Gathered, captures: list[CaptureFacts], folder: Path) -> PlayedLab:
        with SimulatedLoop.runner() as runner:
            lab: PlayedLab = runner.run(self._simulate(script, gathered, captures, folder))
        return lab

    async def _simulate(self, script: RouterScript, gathered: Gathered, captures: list[CaptureFacts], folder: Path) -> Any:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimulatedLoop)
        make, steps = LABS[script.world]
        with self._bus.step(f"routers with {script.release}"):
            lab = make(loop, script, gathered, self._seed, self._makers)
        play = steps(lab, self._bus, gathered, script.options)
        with lab.captured(folder, captures):
            await self._steps(script, play, gathered)
        return lab


def searched(script: RouterScript, t: float, captures: Mapping[str, Path | str]) -> Iterator[Told]:
    """How many frames of each capture hold the words of the script's option `words`, bytes by their names."""
    words: Mapping[str, bytes] = script.options.get("words", {})
    for who, path in captures.items() if words else ():
        found, frames = frames_with(path, words)
        for what, count in found.items():
            yield Told(t, who, "searched", {"what": what, "frames": count, "of": frames})


def transcripts(gathered: Gathered) -> dict[str, str]:
    """What each router printed and logged, in order, by its name."""
    lines: dict[str, list[tuple[float, str]]] = {}
    for printed in gathered.printed:
        said = f"\n{printed.text.rstrip()}" if printed.text.strip() else ""
        lines.setdefault(printed.device, []).append((printed.t, f"# {printed.command}{said}"))
    for logged in gathered.logged:
        lines.setdefault(logged.device, []).append((logged.t, f"*{logged.line}"))
    return {
        device: "".join(f"{line}\n" for _, line in sorted(found, key=lambda entry: entry[0])) for device, found in lines.items()
    }
