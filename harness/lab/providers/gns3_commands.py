"""`natstorm lab import gns3` and `natstorm lab clean gns3`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.lab.providers.gns3_server import server_url
from harness.lab.providers.import_yaml import Described

if TYPE_CHECKING:
    from harness.lab.providers.gns3 import Gns3

PASSWORD = "NATSTORM_GNS3_PASSWORD"


def add_import(parser: Any) -> None:
    parser.add_argument("--server", required=True, metavar="URL", help="as in http://gns3.example:3080")
    parser.add_argument("--project", required=True, metavar="NAME", help="the project's name")
    parser.add_argument("--user", default="", metavar="NAME", help=f"who we are there; the password is asked for, or ${PASSWORD}")
    parser.add_argument("--ca", default=None, metavar="FILE", help="certificate to trust, where the server's is its own")


add_clean = add_import


def describe(arguments: argparse.Namespace) -> Described:
    nodes, links = _lab(arguments, "write a testbed file").describe()
    section = {"provider": "gns3", "url": server_url(arguments.server), "project": arguments.project}
    if arguments.user:
        section |= {"user": arguments.user, "password": f"%ENV{{{PASSWORD}}}"}
    options = {} if arguments.ca is None else {"ca_file": str(Path(arguments.ca).absolute())}
    return Described(arguments.project, section, nodes, links, options)


def clean(arguments: argparse.Namespace) -> tuple[str, ...]:
    return _lab(arguments, "clean up").clean()


def _lab(arguments: argparse.Namespace, purpose: str) -> Gns3:
    from harness.lab.providers.commands import password
    from harness.lab.providers.gns3 import Gns3, Gns3Spec

    secret = password(arguments.user, PASSWORD)
    spec = Gns3Spec(arguments.server, arguments.project, arguments.user, secret, ca_file=arguments.ca)
    return Gns3(spec, purpose)
