"""`natstorm lab import eve-ng` and `natstorm lab clean eve-ng`: their arguments, and what they do with them."""

from __future__ import annotations

import argparse
from typing import Any

from harness.lab.providers.eve_ng_import import PASSWORD
from harness.lab.providers.import_yaml import Described
from harness.model.secret import Secret


def add_import(parser: Any) -> None:
    parser.add_argument("--server", required=True, metavar="URL", help="https://HOST (Pro) or http://HOST (Community)")
    parser.add_argument("--lab", required=True, metavar="PATH", help="/FOLDER/NAME.unl, as the web page shows it")
    parser.add_argument("--user", required=True, metavar="NAME", help=f"who we are there; password: ${PASSWORD}, or asked for")
    trust = parser.add_mutually_exclusive_group()
    trust.add_argument("--ca", default=None, metavar="FILE", help="certificate to trust, where the server's is its own")
    trust.add_argument("--insecure", action="store_true", help="trust any certificate: on a network of your own")


add_clean = add_import


def describe(arguments: argparse.Namespace) -> Described:
    from harness.lab.providers.eve_ng_import import import_eve_ng

    return import_eve_ng(arguments.server, arguments.lab, arguments.user, _password(arguments.user), verify=_verify(arguments))


def clean(arguments: argparse.Namespace) -> tuple[str, ...]:
    """A sentence for each thing that was undone."""
    from harness.lab.providers.eve_ng import EveNg, EveNgSpec

    lab = EveNg(EveNgSpec(arguments.server, arguments.lab, arguments.user, Secret(""), _verify(arguments)))
    if not lab.left_over:
        return ()  # nobody is asked for a password for nothing
    return EveNg(EveNgSpec(arguments.server, arguments.lab, arguments.user, _password(arguments.user), _verify(arguments))).clean()


def _verify(arguments: argparse.Namespace) -> bool | str:
    if arguments.ca is not None:
        return str(arguments.ca)
    return not arguments.insecure


def _password(user: str) -> Secret:
    from harness.lab.providers.commands import password

    return password(user, PASSWORD) or Secret("")
