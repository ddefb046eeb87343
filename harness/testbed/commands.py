"""`natstorm check`: a testbed file, strictly: every mistake with its file, its line and its cure."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.model.router_lab import RouterLab
    from harness.model.testbed import Testbed
    from harness.testbed.load import Examined

CARD = {"l2tp": "callers by PPPoE", "esp": "the endpoints' hosts"}
"""Who is on the card of a testbed of routers, by its world."""
VERSION = 1
"""Of the JSON that --json prints."""
DESCRIPTION = """Reads testbed files and tells every mistake in them: misspelt keys, impossible addresses, unset variables, links
that end nowhere, devices that cannot be reached, addresses that nothing may be sent to. No device is asked anything. Exit status: 0
where all are in order, 2 otherwise."""


def add_commands(commands: Any) -> None:
    """Mount the command on the parser of `natstorm` (an argparse sub-parsers object)."""
    parser = commands.add_parser("check", help="testbed files: every mistake, with line and cure", description=DESCRIPTION)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="a testbed file")
    parser.add_argument("--json", action="store_true", help="an object a line for each file, and nothing else")
    parser.add_argument("--schema", action="store_true", help="print the JSON schema of testbed files, for editors")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    if arguments.schema:
        from harness.testbed import schema

        sys.stdout.write(schema.text())
        return 0
    if not arguments.files:
        raise UsageError("no file is named", cure="natstorm check testbeds/virtual.yaml")
    from harness.testbed.load import examine

    examined = [examine(file) for file in arguments.files]
    for one in examined:
        sys.stdout.write(as_json(one) if arguments.json else as_text(one))
    return 2 if any(one.mistakes for one in examined) else 0


def as_json(examined: Examined) -> str:
    """One line: {"version", "file", "ok", "mistakes": [{"line", "problem", "cure"}]}; `line` is null where all of the file is
    meant."""
    told = {
        "version": VERSION,
        "file": examined.file,
        "ok": not examined.mistakes,
        "mistakes": [{"line": one.line, "problem": one.problem, "cure": one.cure} for one in examined.mistakes],
    }
    return json.dumps(told, ensure_ascii=False) + "\n"


def as_text(examined: Examined) -> str:
    if examined.testbed is not None:
        return f"{examined.file}: in order: {_summary(examined.testbed)}\n"
    lines = [str(UsageError(one.problem, file=examined.file, line=one.line, cure=one.cure)) for one in examined.mistakes]
    count = len(lines)
    return "\n".join((*lines, f"{examined.file}: {count} mistake{'' if count == 1 else 's'}", ""))


def _summary(testbed: Testbed | RouterLab) -> str:
    from harness.model.router_lab import RouterLab
    from harness.testbed.markup import Asked

    there = testbed.connections
    if there:
        places = ", ".join(f"{one.device} by {one.protocol} at {one.host}" for one in there)
        devices = f"{len(there)} device{'' if len(there) == 1 else 's'} reached ({places})"
    else:
        devices = "no device reached, all of it the harness's own"
    if isinstance(testbed, RouterLab):
        secrets, most = testbed.secrets, f"{CARD[testbed.world]} at {testbed.cards_named}"
    else:
        secrets = (testbed.clients.psk, testbed.clients.password, *testbed.access_secrets)
        most = f"{testbed.most_clients} clients at most"
    asked = {secret.prompt for secret in secrets if isinstance(secret, Asked)}
    prompts = f", {len(asked)} secret{'' if len(asked) == 1 else 's'} asked for at the start" if asked else ""
    return f"{devices}, {most}{prompts}"
