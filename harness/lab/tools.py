"""Programs of the host that the lab runs: where they are, which Debian package brings them, and how their failure is told."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from harness.errors import LabError, MissingTool
from harness.lab import packages

TIMEOUT_S = 30.0


def find(program: str) -> str:
    """The program's full path; raises MissingTool with the package and the command that installs it."""
    found = packages.find_program(program)
    if found is None:
        tool = next((t for t in packages.HOST_TOOLS if t.program == program), packages.HostTool(program, program, ""))
        raise MissingTool(f"find {program}", f"not installed (Debian package {tool.package})", packages.install_command([tool]))
    return found


def run(
    argv: Sequence[str], *, step: str, text: str | None = None, accept: Sequence[int] = (0,)
) -> subprocess.CompletedProcess[str]:
    """Runs a program to its end with `text` on its standard input; raises LabError(`step`) with what it said where it failed.

    For calls that take milliseconds (ip, nft, conntrack): they hold up the event loop for that long and no longer.
    """
    command = [find(argv[0]), *argv[1:]]
    try:
        done = subprocess.run(
            command, input=text or "", capture_output=True, text=True, errors="replace", timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise LabError(step, f"`{' '.join(argv)}` did not end within {TIMEOUT_S:g} s") from error
    if done.returncode not in accept:
        said = (done.stderr or done.stdout).strip() or "it said nothing"
        raise LabError(step, f"`{' '.join(argv)}` ended with status {done.returncode}: {said}")
    return done


def unexpected(step: str, said: str) -> LabError:
    """The error for a program that succeeded without saying what it always says."""
    return LabError(step, f"unexpected words: {said.strip() or '(none)'}")
