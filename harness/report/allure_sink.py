"""Allure results: what allure-pytest does not know by itself.

Each test gets the case's labels, title, sentence and links. Each scenario gets one container with its steps and its attachments;
the tests that used its evidence are the container's children, so that a capture is stored once and shows in every one of them.
allure-pytest writes the test results; this sink sees each just before it is written (hook `report_result`) and also takes the
run's secrets out of it.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import allure_commons

from harness.report.markup import tag
from harness.report.outcome import compact
from harness.report.page import identity_page, matrix_page, most_telling, short_answer
from harness.report.redact import Redactor
from harness.report.result import CaseOutcome, CaseResult
from harness.report.run import write_whole
from harness.report.story import Story
from harness.report.svg import diagram, matrix, standing_alone

if TYPE_CHECKING:
    from allure_commons.model2 import TestResult, TestResultContainer

ATTACH_LIMIT = 2**18
"""Files above this many bytes are named by their path instead of being attached: the report is one file that a browser opens."""

CATEGORIES = (
    {"name": "The device failed", "matchedStatuses": ["failed"]},
    {"name": "Inconclusive: nothing is known of the device", "matchedStatuses": ["broken"]},
    {"name": "Skipped, with the reason", "matchedStatuses": ["skipped"]},
)
"""For Allure 2 and for what reads results; Allure 3 takes the same from allurerc.mjs."""

MIME = {
    ".pcap": "application/vnd.tcpdump.pcap",
    ".pcapng": "application/vnd.tcpdump.pcap",
    ".json": "application/json",
    ".jsonl": "text/plain",
    ".txt": "text/plain",
    ".log": "text/plain",
    ".csv": "text/csv",
    ".html": "text/html",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}


def write_surroundings(results: Path, environment: Mapping[str, str], told: Iterable[Story], run_id: str) -> None:
    """environment.properties, categories.json and executor.json, which the generator reads beside the results.

    The answers come first: what stands in the environment, Allure shows above all tests.
    """
    answers = {f"{story.variant or story.testbed} · {story.scenario}": short_answer(story) for story in most_telling(told)}
    named = {**answers, "run": run_id, **environment}
    lines = "".join(f"{_property(name, name=True)}={_property(value)}\n" for name, value in named.items() if value)
    write_whole(results / "environment.properties", lines)
    write_whole(results / "categories.json", json.dumps(CATEGORIES, indent=2) + "\n")
    write_whole(results / "executor.json", json.dumps({"name": "natstorm", "type": "natstorm", "buildName": run_id}) + "\n")


class AllureSink:
    """Registered with allure_commons for the length of the run. `current` gives the result of the test that is just ending."""

    def __init__(self, results: Path, redactor: Redactor, current: Callable[[], CaseResult | None]) -> None:
        self._results = results
        self._redactor = redactor
        self._current = current
        self._containers: dict[str, dict[str, Any]] = {}

    def scenario(self, story: Story, run_folder: Path) -> None:
        """Write the scenario's container and its attachments. Called once a scenario, when it has been played."""
        old = self._containers.get(story.name, {})
        content = {
            "uuid": old.get("uuid") or _uuid(run_folder.name, "container", story.name),
            "name": story.name,
            "children": old.get("children", []),
            "befores": [self._set_up(story, run_folder)],
            "afters": [],
            "start": _ms(story.began),
            "stop": _ms(max((step.ended for step in story.steps), default=story.began)),
        }
        self._containers[story.name] = content
        self._write(content)

    @allure_commons.hookimpl(tryfirst=True)
    def report_result(self, result: TestResult) -> None:
        """allure-pytest is about to write this test's result."""
        done = self._current()
        if done is not None:
            self._dress(result, done)
            container = self._containers.get(_container_name(done))
            if container is not None and result.uuid not in container["children"]:
                container["children"].append(result.uuid)
                self._write(container)
        self._clean(result)

    @allure_commons.hookimpl(tryfirst=True)
    def report_container(self, container: TestResultContainer) -> None:
        """allure-pytest is about to write a fixture's container: what went well and says nothing more is only noise."""
        for kept in (container.befores, container.afters):
            kept[:] = [
                fixture for fixture in kept if fixture.status in ("failed", "broken") or fixture.steps or fixture.attachments
            ]
            for fixture in kept:
                self._clean_item(fixture)

    def _dress(self, result: TestResult, done: CaseResult) -> None:
        from allure_commons.model2 import Label, Link, Parameter, StatusDetails

        case = done.case
        where = f" [{case.variant}]" if case.variant else ""
        what = case.title or ("" if case.id == result.name else result.name or "")
        result.name = f"{case.id} {what}".strip() + where
        result.labels.extend(Label(name=name, value=value) for name, value in case.properties())
        result.labels.append(Label(name="outcome", value=done.outcome.value))
        result.links.extend(Link(type="link", url=url, name=title) for title, url in case.links)
        result.description = None
        result.descriptionHtml = str(_description(done))
        if done.outcome is CaseOutcome.RECORDED:
            result.parameters.append(Parameter(name="recorded", value=compact(done.recorded), excluded=True))
        if done.because:
            result.statusDetails = result.statusDetails or StatusDetails()
            result.statusDetails.message = done.because  # the sentence alone; the trace has the rest

    def _clean(self, result: TestResult) -> None:
        clean = self._redactor.text
        result.name = clean(result.name or "")
        if result.descriptionHtml:
            result.descriptionHtml = clean(result.descriptionHtml)
        for item in (result, *_all_steps(result)):
            self._clean_item(item)

    def _clean_item(self, item: Any) -> None:
        clean = self._redactor.text
        if item.statusDetails is not None:
            item.statusDetails.message = clean(item.statusDetails.message or "")
            item.statusDetails.trace = clean(item.statusDetails.trace or "")
        for parameter in item.parameters:
            parameter.value = clean(str(parameter.value))

    def _set_up(self, story: Story, run_folder: Path) -> dict[str, Any]:
        flat: list[dict[str, Any]] = [
            {
                "name": f"{step.name} [{', '.join(step.clients)}]" if step.clients and step.depth == 0 else step.name,
                "status": "broken" if step.problem else "passed",
                **({"statusDetails": {"message": step.problem}} if step.problem else {}),
                "start": _ms(step.began),
                "stop": _ms(step.ended),
                "steps": [],
            }
            for step in story.steps
        ]
        top: list[dict[str, Any]] = []
        path: list[list[dict[str, Any]]] = [top]
        for step, node in zip(story.steps, flat, strict=True):
            del path[step.depth + 1 :]
            path[-1].append(node)
            path.append(node["steps"])
        return {
            "name": f"scenario {story.name}",
            "status": "broken" if story.headline.tone.open else "passed",
            "statusDetails": {"message": story.headline.sentence},
            "start": _ms(story.began),
            "stop": _ms(max((step.ended for step in story.steps), default=story.began)),
            "steps": top,
            "attachments": self._attachments(story, run_folder),
        }

    def _attachments(self, story: Story, run_folder: Path) -> list[dict[str, str]]:
        made: list[dict[str, str]] = []

        def keep(title: str, suffix: str, text: str) -> None:
            name = f"{_uuid(run_folder.name, story.name, title)}-attachment{suffix}"
            write_whole(self._results / name, self._redactor.text(text))
            made.append({"name": title, "source": name, "type": MIME[suffix]})

        if story.sequence:
            keep("deciding packets", ".svg", standing_alone(diagram(story)))
        for drawn in story.matrices:
            keep(drawn.title, ".html", matrix_page(drawn))
            keep(f"{drawn.title} (plot)", ".svg", standing_alone(matrix(drawn)))
        if len(story.identity) > 1:
            keep("identity table", ".html", identity_page(story))
            keep("identity table (CSV)", ".csv", _csv(story.identity))
        for title, text in story.gateway:
            keep(f"gateway: {title}", ".txt", text)
        linked = []
        for file in story.files:
            source = run_folder / file.path
            suffix = source.suffix if source.suffix in MIME else ".txt"
            if not source.is_file() or source.stat().st_size > ATTACH_LIMIT:
                linked.append(f"{file.title}: {file.path} ({file.note or f'{file.bytes} bytes'})")
            elif suffix.startswith(".pcap"):
                name = f"{_uuid(run_folder.name, story.name, file.path)}-attachment{suffix}"
                shutil.copyfile(source, self._results / name)
                made.append({"name": file.title, "source": name, "type": MIME[suffix]})
            else:
                keep(file.title, suffix, source.read_text(encoding="utf-8", errors="replace"))
        if linked:
            keep("further files, by their path in the run's folder", ".txt", "\n".join(linked) + "\n")
        return made

    def _write(self, container: Mapping[str, Any]) -> None:
        write_whole(self._results / f"{container['uuid']}-container.json", json.dumps(container))


def _description(done: CaseResult) -> str:
    facts = [tag("li", tag("b", name), f": {compact(value)}") for name, value in done.facts.items()]
    frames = ", ".join(f"{side} {number}" for side, number in done.frames)
    parts = [tag("p", tag("b", done.because or done.outcome.value))]
    if done.outcome is CaseOutcome.RECORDED:
        parts.append(tag("p", f"Observed, not judged: {compact(done.recorded)}"))
    if frames:
        parts.append(tag("p", f"Deciding frames: {frames}"))
    if facts:
        parts.append(tag("ul", facts))
    return "".join(parts)


def _container_name(done: CaseResult) -> str:
    case = done.case
    return f"{case.variant}-{case.scenario}" if case.variant else case.scenario


def _all_steps(item: Any) -> list[Any]:
    return [found for step in item.steps for found in (step, *_all_steps(step))]


def _csv(rows: tuple[tuple[str, ...], ...]) -> str:
    import csv
    import io

    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def _property(text: str, *, name: bool = False) -> str:
    """As java.util.Properties reads it: one line; in a name, blanks, = and : are escaped too."""
    plain = " ".join(text.splitlines()).replace("\\", "\\\\")
    return "".join(f"\\{character}" if character in " =:#!" else character for character in plain) if name else plain


def _uuid(*parts: str) -> str:
    """The same input gives the same name, so that a report can be made again."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "natstorm:" + ":".join(parts)))


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
