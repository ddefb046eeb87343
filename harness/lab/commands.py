"""`natstorm lab up|status|console|shell|down`: a lab to explore by hand. One of software is held by a keeper in an enclosure of its
own; where `--testbed` names devices of others, see harness.lab.providers.server_commands.

`natstorm lab link|import|clean`: see harness.lab.providers."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from pathlib import Path
from typing import Any

from harness.errors import UsageError, typed
from harness.lab import control, enter, keeping
from harness.lab.providers import commands as of_providers
from harness.lab.providers import link_commands, server_commands
from harness.lab.providers.namespaces import Namespaces
from harness.model.testbed import Testbed

NODES = ("clients", "nat", "wan", "gateway", "host")


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Mounts `lab` and what is below it. Every command's function takes the parsed arguments and returns an exit status.

    The function that reads a testbed file is `load_testbed` in the arguments, the file that `up` takes where none is named
    `default_testbed`: neither is the lab's part.
    """
    lab = commands.add_parser("lab", help="a lab to explore by hand", description="Bring a lab up, look into it, take it down.")
    verbs = lab.add_subparsers(dest="verb", required=True, metavar="up|status|console|shell|link|down|import|clean")
    up = verbs.add_parser("up", help="bring the testbed's lab up and leave it up")
    up.add_argument("--testbed", default=None, metavar="FILE", help="testbed file (default: testbeds/virtual.yaml)")
    up.add_argument("--variant", default=None, metavar="NAME", help="gateway variant (default: the testbed's first)")
    up.add_argument("--dry-run", action="store_true", help="say what would be started, and do nothing")
    up.set_defaults(run=lab_up)
    status = verbs.add_parser("status", help="nodes and links; of a lab of software addresses, variant, the NAT's mappings")
    _of_testbed(status)
    status.add_argument("--json", action="store_true", help="one JSON object instead of text")
    status.set_defaults(run=lab_status)
    console = verbs.add_parser("console", help="the console of a node, a shell in one of software")
    console.add_argument("node", metavar="NODE", help="its name, as `status` shows it")
    _of_testbed(console)
    console.set_defaults(run=lab_console)
    shell = verbs.add_parser("shell", help="a shell in a node of a lab of software, or a command there")
    shell.add_argument("node", choices=NODES)
    shell.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="run this instead of a shell")
    shell.set_defaults(run=lab_shell)
    down = verbs.add_parser("down", help="take the lab down")
    _of_testbed(down)
    down.set_defaults(run=lab_down)
    link_commands.add_commands(verbs)
    of_providers.add_commands(verbs)


def _of_testbed(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--testbed", default=None, metavar="FILE", help="whose lab (default: the one of software that is up)")


def lab_up(arguments: argparse.Namespace) -> int:
    """Returns once the lab is up. LabError where it does not come up, with nothing left."""
    testbed: Testbed = arguments.load_testbed(Path(arguments.testbed or arguments.default_testbed))
    if testbed.field:
        return server_commands.up(testbed, arguments.variant, dry_run=arguments.dry_run)
    if arguments.dry_run:
        print(f"would build the lab of {testbed.file} in namespaces of its own, and change nothing else on this machine")
        return 0
    began = time.monotonic()

    def tell(step: str) -> None:
        print(f"{time.monotonic() - began:5.1f} s  {step}", flush=True)

    status, _ = keeping.start(testbed, arguments.variant, tell)
    _show(status)
    nodes = "|".join(node["node"] for node in status["nodes"])
    print(f"\nenter a node:  {typed(f'lab console {nodes}')}\nend it:        {typed('lab down')}")
    return 0


def lab_status(arguments: argparse.Namespace) -> int:
    """0 where the lab is up, 1 where it is not."""
    testbed = _testbed(arguments)
    if testbed is not None and testbed.field:
        return server_commands.status(testbed, arguments.json)
    found = Namespaces(testbed).told()
    if found is None:
        print("{}" if arguments.json else "no lab is up")
        return 1
    if arguments.json:
        print(json.dumps(found, indent=1))
    else:
        _show(found)
    return 0


def lab_console(arguments: argparse.Namespace) -> int:
    """The exit status of the shell, or of the program that calls the console."""
    testbed = _testbed(arguments)
    if testbed is not None and testbed.field:
        return server_commands.console(testbed, arguments.node)
    return _shell(Namespaces(testbed).console(arguments.node).host, [])


def lab_shell(arguments: argparse.Namespace) -> int:
    """The exit status of the shell, or of the command."""
    return _shell(arguments.node, arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command)


def _shell(node: str, command: list[str]) -> int:
    lab = control.connect()
    if lab is None:
        raise UsageError("no lab is up", cure=typed("lab up"))
    if node in lab.ask({"do": "status"})["namespaces"]:
        return enter.enter_node(lab, node, command)
    if node != "gateway":
        raise UsageError(f"this lab has no node {node}", cure=typed("lab status"))
    if not command:
        return enter.gateway_shell(lab)
    # One word is a whole command line for the guest's shell, several are a program and its arguments.
    return enter.run_on_gateway(lab, command[0] if len(command) == 1 else shlex.join(command))


def lab_down(arguments: argparse.Namespace) -> int:
    """0 once nothing of the lab is there any more, whether or not one was."""
    testbed = _testbed(arguments)
    if testbed is not None and testbed.field:
        return server_commands.down(testbed)
    there = Namespaces(testbed, tell=lambda text: print(text, file=sys.stderr)).end()
    print("the lab is down" if there else "no lab is up")
    return 0


def _testbed(arguments: argparse.Namespace) -> Testbed | None:
    """The one that the command line names."""
    if arguments.testbed is None:
        return None
    testbed: Testbed = arguments.load_testbed(Path(arguments.testbed))
    return testbed


def _show(status: dict[str, Any]) -> None:
    since = time.strftime("%H:%M:%S", time.localtime(status["since"]))
    print(f"lab {status['testbed']}, gateway {status['variant']}, up since {since} (process {status['launcher']})")
    for node in status["nodes"]:
        first, *others = node["addresses"] or [""]
        print(f"  {node['node']:8} {first:28} {node['about']}".rstrip())
        for address in others:
            print(f"  {'':8} {address}")
    for link in status["links"]:
        ends = " - ".join(" ".join(end) for end in link["ends"])
        print(f"  link {link['link']} ({ends}){'' if link['up'] else ': DOWN'}")
    mappings = status["mappings"]
    print(f"  {len(mappings)} UDP mapping{'' if len(mappings) == 1 else 's'} in the NAT")
    for m in mappings:
        inside, outside = f"{m['inside_address']}:{m['inside_port']}", f"{m['outside_address']}:{m['outside_port']}"
        answered = "" if m["answered"] else ", unanswered"
        print(f"    {inside:21} → {outside:21} to {m['remote_address']}:{m['remote_port']} ({m['expires_s']} s left{answered})")
