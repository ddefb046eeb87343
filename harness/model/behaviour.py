"""One row of the catalogue of behaviours."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What the product has to be able to test.

    `kinds` are of "S" (the source states it), "D" (derived), "?" (the source is silent). `time` is "wall" or "virtual"; `evidence`
    "wire", "far-end", "peer" or "cli-only". `proved_by` says what turns the test red. `excluded` says why there is no test at all,
    `left_to_hardware` which part of a row that has one no software here can honour, and why: `qualify --coverage` prints both.
    """

    id: str
    title: str
    seed: str
    document: str
    section: str
    kinds: tuple[str, ...]
    time: str
    evidence: str
    proved_by: str
    clear_expected: bool = False
    excluded: str | None = None
    left_to_hardware: str | None = None

    @property
    def recorded_only(self) -> bool:
        """The source is silent: what the device does is recorded and never judged."""
        return self.kinds == ("?",)

    @property
    def source(self) -> str:
        """Where the behaviour comes from, for a reader."""
        return f"seed {self.seed}, {self.document}: {self.section}"
