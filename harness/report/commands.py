"""`natstorm report`: what a run's folder holds, whoever left it there, and its reports drawn again."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from harness.errors import UsageError, typed
from harness.report import terminal
from harness.report.allure_html import PROJECT
from harness.report.finish import look, remarks, write_reports
from harness.report.run import State, archived
from harness.report.summary import exit_status

REPORTS = PROJECT / "reports"
"""Where `natstorm qualify` puts runs by default, wherever it is started."""


def add_commands(commands: Any) -> None:
    """Mount the command on the parser of `natstorm` (an argparse sub-parsers object)."""
    parser = commands.add_parser("report", help="tell again what a run found, an interrupted or killed one too")
    parser.add_argument("name", nargs="?", metavar="RUN", help="a folder below reports/ or its name (default: the newest run)")
    parser.add_argument("--reports", type=Path, default=REPORTS, metavar="DIR", help="where the runs are (the project's reports/)")
    parser.add_argument("--json", action="store_true", help="summary.json's content and nothing else")
    parser.set_defaults(run=report_of_arguments)


def report_of_arguments(arguments: argparse.Namespace) -> int:
    return report(chosen(arguments.reports, arguments.name), json=arguments.json)


def report(folder: Path, *, json: bool = False) -> int:
    """Draw the reports of a run that has ended (a live one is only looked at), and say what they say. Returns the exit status."""
    told = look(folder)
    folder = told.archive.folder
    shown = folder / "summary.html"
    notes: tuple[str, ...] = ()
    if told.archive.state is not State.RUNNING:
        try:
            told, generated = write_reports(folder)
            shown, notes = generated.report or shown, tuple(remarks(generated))
        except OSError as error:
            notes = (f"its reports cannot be written: {error}",)
    if json:
        sys.stdout.write(told.summary.to_json())
    else:
        state = f"this run is {told.archive.state.value}" + (f" ({told.archive.why})" if told.archive.why else "")
        sys.stdout.write(
            terminal.closing(
                told.summary,
                told.stories,
                told.archive.results,
                report=str(shown),
                remarks=(*notes, state),
                colour=sys.stdout.isatty(),
            )
        )
    return exit_status(told.summary)


def chosen(root: Path, name: str | None) -> Path:
    """The folder of the run that was asked for. UsageError where there is none."""
    if name is None:
        runs = archived(root)
        if not runs:
            raise UsageError("there is no run yet", file=str(root), cure=typed("qualify"))
        return runs[-1]
    return next((path for path in (Path(name), root / name) if (path / "run.json").is_file()), Path(name))
