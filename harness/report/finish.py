"""From a run's folder to its reports. Everything is read from disk, so that it serves a run that was killed as well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.report.allure_html import PROJECT, Generated, generate
from harness.report.page import page
from harness.report.run import Archive, State, load, point_latest, write_whole
from harness.report.story import Story, stories
from harness.report.summary import Summary, summarise


@dataclass(frozen=True, slots=True)
class Told:
    """A run with all that its reports say."""

    archive: Archive
    summary: Summary
    stories: tuple[Story, ...]


def look(folder: Path) -> Told:
    """What a run's folder holds, without writing anything. UsageError where it is none."""
    archive = load(folder)
    summary = summarise(
        archive.id,
        archive.results,
        testbeds=_testbeds(archive),
        duration_s=archive.duration_s,
        not_run=() if archive.state is State.RUNNING else archive.not_run,
    )
    return Told(archive, summary, stories(folder))


def write_reports(
    folder: Path, *, allure: bool = True, allure_results: Path | None = None, project: Path = PROJECT
) -> tuple[Told, Generated]:
    """summary.json and summary.html at once, then `latest`, then report.html where Node and Allure are at hand."""
    told = look(folder)
    folder = told.archive.folder
    write_whole(folder / "summary.json", told.summary.to_json())
    _write_page(folder, told, Generated(None))
    point_latest(folder)
    generated = generate(folder, results=allure_results, project=project) if allure else Generated(None)
    _write_page(folder, told, generated)
    return told, generated


def remarks(generated: Generated) -> Sequence[str]:
    """What the terminal has to add where there is no Allure report."""
    if generated.report is not None or not generated.problem:
        return ()
    return (f"no Allure report: {generated.problem} (cure: {generated.cure}); the results are kept in allure-results",)


def _write_page(folder: Path, told: Told, generated: Generated) -> None:
    name = generated.report.name if generated.report is not None else ""
    cure = f"{generated.problem}. Cure: {generated.cure}" if generated.problem else ""
    write_whole(folder / "summary.html", page(told.archive, told.summary, told.stories, allure=name, cure=cure))


def _testbeds(archive: Archive) -> tuple[str, ...]:
    named = archive.about.get("testbeds", ())
    return tuple(str(name) for name in named) if isinstance(named, list | tuple) else ()
