"""`natstorm setup` and `natstorm doctor`: what this machine lacks, and bringing it in."""

from __future__ import annotations

import argparse
from typing import Any

from harness.lab import doctor, for_tests, packages


def add_commands(commands: Any) -> None:
    setup = commands.add_parser("setup", help="bring in the Debian packages that are missing (with root)")
    told = "only what the project's own tests talk to and compare with: GNS3 servers, genie's parsers"
    setup.add_argument("--for-tests", action="store_true", help=told)
    setup.set_defaults(run=_setup)
    examine = commands.add_parser("doctor", help="what this machine lacks, and the command that mends it")
    examine.add_argument("--json", action="store_true", help="the findings as JSON")
    examine.set_defaults(run=_doctor)


def _setup(arguments: argparse.Namespace) -> int:
    if arguments.for_tests:
        for_tests.setup()
    else:
        packages.setup()
    return 0


def _doctor(arguments: argparse.Namespace) -> int:
    return doctor.main(as_json=arguments.json)
