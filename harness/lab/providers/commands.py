"""`natstorm lab import PROVIDER` writes a testbed file from a lab that is there; `natstorm lab clean PROVIDER` undoes what a killed
run left on its server.

Each provider that has them is a row of PROVIDERS: what to call it, and its module, with
`add_import(parser)`, `add_clean(parser)`, `describe(arguments) -> Described` and `clean(arguments) -> sentences`.
"""

from __future__ import annotations

import argparse
import getpass
import importlib
import os
import sys
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.lab.providers.import_yaml import HEAD_LINES, ROLES, yaml_text
from harness.model.secret import Secret
from harness.model.testbed import TO_COMPLETE

PROVIDERS = {"gns3": "harness.lab.providers.gns3_commands", "eve-ng": "harness.lab.providers.eve_ng_commands"}


def add_commands(verbs: Any) -> None:
    """Mounts both below `natstorm lab`."""
    into = verbs.add_parser("import", help="write a testbed file from a project that is there")
    clean = verbs.add_parser("clean", help="undo what a killed run left on a lab's server, and nothing else")
    imports = into.add_subparsers(dest="provider", required=True, metavar="|".join(PROVIDERS))
    cleans = clean.add_subparsers(dest="provider", required=True, metavar="|".join(PROVIDERS))
    for name, module in PROVIDERS.items():
        provider = importlib.import_module(module)
        one = imports.add_parser(name, help=f"from {name}")
        provider.add_import(one)
        one.add_argument("--role", action="append", default=[], metavar="ROLE=NODE", help=f"which node is {', '.join(ROLES)}")
        one.add_argument("-o", "--output", default=None, metavar="FILE", help="a new file (default: standard output)")
        one.set_defaults(run=lab_import, describe=provider.describe)
        other = cleans.add_parser(name, help=f"on {name}")
        provider.add_clean(other)
        other.set_defaults(run=lab_clean, clean=provider.clean)


def lab_import(arguments: argparse.Namespace) -> int:
    """Writes the file, or prints it. A file that is there is not touched: somebody may have completed it."""
    roles = _roles(arguments.role)
    if arguments.output is not None and Path(arguments.output).exists():
        raise UsageError("is there already", file=arguments.output, cure="name another file, or remove that one")
    described = arguments.describe(arguments)
    text = yaml_text(described, roles)
    if arguments.output is None:
        print(text, end="")
        return 0
    try:
        with open(arguments.output, "x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror}", file=arguments.output, cure="name another file") from error
    marked = sum(TO_COMPLETE in line for line in text.splitlines()[HEAD_LINES:])
    print(f"{arguments.output}: {len(described.nodes)} nodes, {len(described.links)} links, {marked} places marked {TO_COMPLETE}")
    return 0


def lab_clean(arguments: argparse.Namespace) -> int:
    told = arguments.clean(arguments)
    print("\n".join(told) if told else "nothing was left")
    return 0


def password(user: str, variable: str) -> Secret | None:
    """The user's password: from the environment, or asked at the terminal; never an argument, which every process can read."""
    if not user:
        return None
    if variable in os.environ:
        return Secret(os.environ[variable])
    if not sys.stdin.isatty():
        raise UsageError(f"no password for {user}", cure=f"export {variable}=…")
    return Secret(getpass.getpass(f"password of {user}: "))


def _roles(given: list[str]) -> dict[str, str]:
    roles: dict[str, str] = {}
    for text in given:
        role, separator, node = text.partition("=")
        if not separator or not node or role in roles:
            raise UsageError(f"--role {text}", cure="ROLE=NODE, as in --role gateway=R1, each role once")
        roles[role] = node
    return roles
