"""How much of the documents the suites judge, and by what evidence. Pure.

    {"version": 1, "DMX": {"asserted", "recorded", "hardware_only", "missing", "by_evidence": {"peer", "wire", "cli_only"},
                           "left_to_hardware": {ID: what, and why}}, …}

A row is asserted where a check judges it, recorded where the source is silent and what was seen is kept, hardware-only where no
software can honour it (`excluded` in the catalogue, with the reason), else missing. Of a row that is asserted or recorded a part
may be left to hardware all the same (`left_to_hardware` in the catalogue): it is told beside the counts, and changes none. Evidence
counts asserted rows alone: `peer` is an account of somebody who is not the device under test, `wire` the captures, `cli_only` the
device's own output.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from harness.model.behaviour import Behaviour

VERSION = 1
CLASSES = {"peer": "peer", "far-end": "peer", "wire": "wire", "cli-only": "cli_only"}
"""Which class of evidence a row of the catalogue belongs to."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """Of one document. IDs in their order; `evidence` is each asserted row's class, `left_to_hardware` what of a row is judged by
    nothing in software."""

    document: str
    asserted: tuple[str, ...]
    recorded: tuple[str, ...]
    hardware_only: tuple[str, ...]
    missing: tuple[str, ...]
    evidence: Mapping[str, str]
    left_to_hardware: Mapping[str, str]

    @property
    def by_evidence(self) -> dict[str, int]:
        count = Counter(self.evidence.values())
        return {name: count[name] for name in ("peer", "wire", "cli_only")}

    def to_dict(self) -> dict[str, Any]:
        counts = {name: len(getattr(self, name)) for name in ("asserted", "recorded", "hardware_only", "missing")}
        return {**counts, "by_evidence": self.by_evidence, "left_to_hardware": dict(self.left_to_hardware)}


def cover(
    documented: Mapping[str, Collection[str]], behaviours: Mapping[str, Behaviour], judged: Collection[str], noted: Collection[str]
) -> tuple[Coverage, ...]:
    """`documented`: the documents' rows by their prefix. `judged` and `noted` are the IDs that a test asserts, or records."""
    found = []
    for document, ids in documented.items():
        rows = {one: behaviours[one] for one in ids if one in behaviours}
        asserted = tuple(one for one in ids if one in rows and one in judged)
        recorded = tuple(one for one in ids if one in rows and one in noted and one not in judged)
        excluded = tuple(one for one in ids if one in rows and rows[one].excluded and one not in (*asserted, *recorded))
        missing = tuple(one for one in ids if one not in (*asserted, *recorded, *excluded))
        evidence = {one: CLASSES[rows[one].evidence] for one in asserted}
        parts = {one: why for one in (*asserted, *recorded) if (why := rows[one].left_to_hardware) is not None}
        found.append(Coverage(document, asserted, recorded, excluded, missing, evidence, parts))
    return tuple(found)


def to_dict(coverage: Collection[Coverage]) -> dict[str, Any]:
    return {"version": VERSION, **{one.document: one.to_dict() for one in coverage}}


def in_words(coverage: Collection[Coverage], behaviours: Mapping[str, Behaviour]) -> list[str]:
    """A table, and below it what is missing and why rows, or parts of rows, are for hardware alone."""
    lines = [f"{'':4} {'asserted':>8} {'recorded':>8} {'hardware':>8} {'missing':>8}   {'peer':>5} {'wire':>5} {'cli':>5}"]
    for one in coverage:
        counts = (len(one.asserted), len(one.recorded), len(one.hardware_only), len(one.missing))
        by = one.by_evidence
        cells = " ".join(f"{count:>8}" for count in counts)
        lines.append(f"{one.document:4} {cells}   {by['peer']:>5} {by['wire']:>5} {by['cli_only']:>5}")
    for one in coverage:
        if one.missing:
            lines += ["", f"missing of {one.document}: {', '.join(one.missing)}"]
    for one in coverage:
        if one.hardware_only:
            lines += ["", f"{one.document}, on hardware only:"]
            lines += [f"  {name}  {behaviours[name].title}: {behaviours[name].excluded}" for name in one.hardware_only]
    for one in coverage:
        if one.left_to_hardware:
            lines += ["", f"{one.document}, left to hardware of rows that are counted above:"]
            lines += [f"  {name}  {behaviours[name].title}: {why}" for name, why in one.left_to_hardware.items()]
    return lines
