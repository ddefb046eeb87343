"""report.html: Allure 3 turns allure-results into one file. It comes from npm (package-lock.json) and needs Node, no network."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from harness.errors import typed
from harness.report.run import write_whole

PROJECT = Path(__file__).resolve().parents[2]
"""Where package.json, node_modules and allurerc.mjs lie."""

TIMEOUT_S = 180
OLDEST_NODE = 20


TELEMETRY = re.compile(
    r"<script[^>]*googletagmanager[^>]*>\s*</script>\s*(?:<script>(?:(?!</script>).)*gtag(?:(?!</script>).)*</script>)?", re.DOTALL
)

POLICY = (
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src data: blob: 'unsafe-inline' 'unsafe-eval'; "
    "form-action 'none'\">"
)


@dataclass(frozen=True, slots=True)
class Generated:
    """`report` is None where there is none; `problem` then says why and `cure` what to type."""

    report: Path | None
    problem: str = ""
    cure: str = ""


def generate(run_folder: Path, *, results: Path | None = None, project: Path = PROJECT, node: str | None = None) -> Generated:
    """Write run_folder/report.html from `results` (run_folder/allure-results). What the machine lacks is said, not raised."""
    missing = what_is_missing(project, node)
    if missing is not None:
        return missing
    program = node or shutil.which("node")
    assert program is not None  # what_is_missing looked
    command = [program, str(_generator(project)), "generate", "--config", str(project / "allurerc.mjs")]
    with tempfile.TemporaryDirectory(prefix="natstorm-report-") as scratch:
        command += ["--cwd", str(run_folder), "--output", scratch, str(results or run_folder / "allure-results")]
        environment = {**os.environ, "NATSTORM_RUN": run_folder.name, "NO_COLOR": "1"}
        try:
            done = subprocess.run(
                command,
                cwd=run_folder,
                env=environment,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Generated(None, f"Allure did not finish within {TIMEOUT_S} s", typed("doctor"))
        found = sorted(Path(scratch).rglob("index.html"))
        if done.returncode != 0 or not found:
            seen = (done.stderr or done.stdout).strip().splitlines()
            return Generated(None, f"Allure ended with status {done.returncode}: {seen[-1] if seen else 'no output'}", "npm ci")
        report = run_folder / "report.html"
        write_whole(report, without_telemetry(found[0].read_text(encoding="utf-8")))
    return Generated(report)


def without_telemetry(html: str) -> str:
    """Allure's page loads Google Analytics and has no option against it. A report of captures tells nobody that it is read: the
    scripts are taken out, and a policy keeps the page from loading anything else from anywhere.
    """
    kept = TELEMETRY.sub("", html)
    return re.sub(r"<head>", lambda found: f"{found.group()}\n    {POLICY}", kept, count=1)


def what_is_missing(project: Path = PROJECT, node: str | None = None) -> Generated | None:
    """Why no Allure report can be made here, or None where one can."""
    program = node or shutil.which("node")
    if program is None:
        return Generated(
            None, "Node is not installed", f"install Node {OLDEST_NODE} or later (https://nodejs.org), then: npm ci"
        )
    if not _generator(project).is_file():
        return Generated(None, f"Allure 3 is not installed in {project}", "npm ci")
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=30, check=True).stdout.strip()
        major = int(said.removeprefix("v").split(".")[0])
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        return Generated(None, f"{program} does not run: {error}", typed("doctor"))
    if major < OLDEST_NODE:
        return Generated(
            None, f"Node {said} is too old", f"install Node {OLDEST_NODE} or later (https://nodejs.org), then: npm ci"
        )
    return None


def _generator(project: Path) -> Path:
    return project / "node_modules" / "allure" / "cli.js"
