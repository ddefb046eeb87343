"""`natstorm parse ios`: what a router printed, as values."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.model.secret import Secret

TOLD_LINES = 20
"""Of the lines that were not read, so many are printed; all are counted, and `--json` holds all."""


def add_commands(commands: Any) -> None:
    parse = commands.add_parser(
        "parse",
        help="read what a device printed",
        description="Read a command's output. Exit status: 0 all of it was read, 1 some was not or it was cut off, "
        "2 no parser knows the command.",
    )
    parse.add_argument("os", choices=("ios",), help="what printed it")
    parse.add_argument("command", nargs="?", metavar="COMMAND", help='as it was typed: "show crypto map", "sh ip nat trans esp"')
    parse.add_argument("file", nargs="?", metavar="FILE", help="the output; standard input where none is named")
    parse.add_argument("--json", action="store_true", help="rows, and the lines that were not read, as JSON")
    parse.add_argument("--list", action="store_true", help="which commands can be read")
    parse.set_defaults(run=_parse)


def _parse(arguments: argparse.Namespace) -> int:
    from harness.devices.ios import commands
    from harness.devices.ios.parsers.configured import masked

    if arguments.list:
        print("\n".join(one.pattern() for one in commands.COMMANDS))
        return 0
    if arguments.command is None:
        raise UsageError("which command printed it?", cure="natstorm parse ios COMMAND [FILE], or --list")
    known = commands.find(arguments.command)
    found = known.parse(_text(arguments.file))
    unread = [(number, masked(line)) for number, line in zip(found.numbers, found.unread, strict=True)]
    if arguments.json:
        lines = [{"line": number, "text": line} for number, line in unread]
        rows = [{"type": type(row).__name__} | plain(row) for row in found.rows]
        print(json.dumps({"command": known.words, "rows": rows, "unread": lines, "cut": found.cut or None}, indent=1))
    else:
        for row in found.rows:
            print(told(row))
    source = arguments.file or "standard input"
    for number, line in unread[:TOLD_LINES]:
        print(f"{source}:{number}: not read: {line}", file=sys.stderr)
    if len(unread) > TOLD_LINES:
        print(f"{source}: and {len(unread) - TOLD_LINES} more lines that were not read", file=sys.stderr)
    if found.cut:
        print(f"{source}: cut off: {found.cut}", file=sys.stderr)
    return 1 if unread or found.cut else 0


def _text(file: str | None) -> str:
    if file is None:
        return sys.stdin.buffer.read().decode("utf-8", "replace")
    try:
        return Path(file).read_bytes().decode("utf-8", "replace")
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", file=file) from error


def plain(value: Any) -> Any:
    """A row as what JSON holds; secrets are `***`."""
    if is_dataclass(value) and not isinstance(value, type | Secret):
        return {one.name: plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, tuple):
        return [plain(one) for one in value]
    return value if value is None or isinstance(value, str | int | float) else str(value)


def told(row: Any) -> str:
    """A row on one line: what is set in it."""
    return f"{type(row).__name__}: {_set(row)}"


def _set(row: Any) -> str:
    shown = ((one.name, getattr(row, one.name)) for one in fields(row))
    return " ".join(f"{name}={_word(value)}" for name, value in shown if value is not None and value != ())


def _word(value: Any) -> str:
    if is_dataclass(value) and not isinstance(value, type | Secret):
        return f"({_set(value)})"
    if isinstance(value, tuple):
        return f"[{', '.join(_word(one) for one in value)}]"
    return str(value)
