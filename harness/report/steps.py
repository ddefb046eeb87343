"""Listens to the bus: keeps the tree of steps for the report, and a journal on disk for the case that the run is killed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from harness.model.steps import StepChange, StepEvent
from harness.report.redact import Redactor


@dataclass(slots=True)
class StepNode:
    """One step with what happened in it. `ended` is None while it lasts (or where the run ended first)."""

    name: str
    began: float
    ended: float | None = None
    detail: dict[str, object] = field(default_factory=dict)
    problem: str | None = None
    children: list[StepNode] = field(default_factory=list)
    attachments: list[tuple[str, str]] = field(default_factory=list)  # (title, path)


class StepRecorder:
    """A subscriber. `roots` are the steps so far; a note becomes a step without duration."""

    def __init__(self, redactor: Redactor, journal: Path | None = None) -> None:
        self.roots: list[StepNode] = []
        self.attachments: list[tuple[str, str]] = []  # those given outside of any step
        self._open: dict[int, StepNode] = {}
        self._redactor = redactor
        self._journal = None if journal is None else journal.open("a", encoding="utf-8")

    def __call__(self, event: StepEvent) -> None:
        clean = self._redactor.value
        name, detail = self._redactor.text(event.name), clean(event.detail)
        problem = None if event.problem is None else self._redactor.text(event.problem)
        if event.change is StepChange.BEGAN:
            node = StepNode(name, event.t, detail=detail)
            self._open[event.step] = node
            self._place(event.parent, node)
        elif event.change is StepChange.ENDED:
            node = self._open.pop(event.step)
            node.ended, node.problem = event.t, problem
        elif event.change is StepChange.NOTED:
            self._place(event.step, StepNode(name, event.t, event.t, detail))
        elif event.path is not None:
            owner = self._open.get(event.step)
            (self.attachments if owner is None else owner.attachments).append((name, event.path))
        if self._journal is not None:
            line = {
                "t": round(event.t, 6),
                "change": event.change.value,
                "step": event.step,
                "parent": event.parent,
                "name": name,
                "detail": detail,
                "problem": problem,
                "path": event.path,
            }
            self._journal.write(json.dumps(line) + "\n")
            self._journal.flush()

    def close(self) -> None:
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def _place(self, parent: int, node: StepNode) -> None:
        owner = self._open.get(parent)
        (self.roots if owner is None else owner.children).append(node)
