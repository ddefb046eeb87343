"""`natstorm lab up|status|shell|down`: a lab to explore by hand, held by a keeper in an enclosure of its own.

`natstorm lab link|import|clean`: labs of others, see harness.lab.providers.commands."""

from __future__ import annotations

import argparse
import json
import os
import pickle
import shlex
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from harness.errors import LabError, UsageError, typed
from harness.lab import control, enclosure, enter, packages
from harness.lab.providers import commands as of_providers
from harness.lab.providers import link_commands
from harness.model.testbed import Testbed

NODES = ("clients", "nat", "wan", "gateway", "host")
DOWN_S = 20.0
"""How long `down` gives the keeper before it ends the lab by force."""


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Mounts `lab` and what is below it. Every command's function takes the parsed arguments and returns an exit status.

    `up` finds the function that reads a testbed file in the arguments, as `load_testbed`, and the file that is taken where none is
    named as `default_testbed`: neither is the lab's part.
    """
    lab = commands.add_parser("lab", help="a lab to explore by hand", description="Bring a lab up, look into it, take it down.")
    verbs = lab.add_subparsers(dest="verb", required=True, metavar="up|status|shell|down|link|import|clean")
    up = verbs.add_parser("up", help="bring the testbed's lab up and leave it up")
    up.add_argument("--testbed", default=None, metavar="FILE", help="testbed file (default: testbeds/virtual.yaml)")
    up.add_argument("--variant", default=None, metavar="NAME", help="gateway variant (default: the testbed's first)")
    up.set_defaults(run=lab_up)
    status = verbs.add_parser("status", help="nodes, addresses, gateway variant, the NAT's mappings")
    status.add_argument("--json", action="store_true", help="one JSON object instead of text")
    status.set_defaults(run=lab_status)
    shell = verbs.add_parser("shell", help="a shell in a node, or a command there")
    shell.add_argument("node", choices=NODES)
    shell.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="run this instead of a shell")
    shell.set_defaults(run=lab_shell)
    down = verbs.add_parser("down", help="take the lab down")
    down.set_defaults(run=lab_down)
    link_commands.add_commands(verbs)
    of_providers.add_commands(verbs)


def lab_up(arguments: argparse.Namespace) -> int:
    """Starts a keeper and returns once the lab is up. Where it does not come up: the reason on stderr, 3, and nothing left."""
    file = Path(arguments.testbed or arguments.default_testbed)
    testbed: Testbed = arguments.load_testbed(file)
    if arguments.variant and arguments.variant not in testbed.gateway.variants:
        cure = f"one of {', '.join(testbed.gateway.variants)}"
        raise UsageError(f"no gateway variant {arguments.variant!r} in this testbed", file=str(file), cure=cure)
    packages.require(guest=testbed.gateway.in_guest)
    with control.listen() as listener:
        enclosure.rehearse()
        report_read, report_write = os.pipe()
        keep = enclosure.python(
            "harness.lab.keeper", arguments.variant or "", str(listener.fileno()), str(report_write)
        )
        keeper = subprocess.Popen(
            enclosure.command(keep),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=(listener.fileno(), report_write),
            start_new_session=True,
        )
        os.close(report_write)
    try:
        assert keeper.stdin is not None
        with suppress(BrokenPipeError), keeper.stdin:  # a keeper that is gone already says why in its report, or on stderr
            pickle.dump(testbed, keeper.stdin)
        with os.fdopen(report_read, encoding="utf-8") as report:
            ready = _follow(report)
        if ready is None:
            assert keeper.stderr is not None
            said = keeper.stderr.read().decode(errors="replace").strip()
            raise LabError("bring the lab up", said or "the keeper ended without a word", typed("doctor"))
    except BaseException:
        # The launcher is asked, not killed: it ends the keeper, and that the lab, in order. If this process is killed
        # instead, the keeper finds nobody to report to and ends by itself.
        if keeper.poll() is None:
            keeper.send_signal(signal.SIGTERM)
        _await(keeper)
        raise
    if "failed" in ready:
        _await(keeper)
        print(f"natstorm: {ready['failed']}", file=sys.stderr)
        return 3
    _show(ready["ready"])
    print(f"\nenter a node:  {typed('lab shell clients|nat|wan|gateway|host')}\nend it:        {typed('lab down')}")
    return 0


def lab_status(arguments: argparse.Namespace) -> int:
    """0 where a lab is up, 1 where none is."""
    lab = control.connect()
    if lab is None:
        print("{}" if arguments.json else "no lab is up")
        return 1
    status = lab.ask({"do": "status"})
    lab.close()
    if arguments.json:
        print(json.dumps(status, indent=1))
    else:
        _show(status)
    return 0


def lab_shell(arguments: argparse.Namespace) -> int:
    """The exit status of the shell, or of the command."""
    lab = control.connect()
    if lab is None:
        raise UsageError("no lab is up", cure=typed("lab up"))
    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    if arguments.node in lab.ask({"do": "status"})["namespaces"]:
        return enter.enter_node(lab, arguments.node, command)
    if arguments.node != "gateway":
        raise UsageError(f"this lab has no node {arguments.node}", cure=typed("lab status"))
    if not command:
        return enter.gateway_shell(lab)
    # One word is a whole command line for the guest's shell, several are a program and its arguments.
    return enter.run_on_gateway(lab, command[0] if len(command) == 1 else shlex.join(command))


def lab_down(_arguments: argparse.Namespace) -> int:
    """0 once nothing of the lab is there any more, whether or not one was."""
    lab = control.connect()
    if lab is None:
        print("no lab is up")
        return 0
    launcher = None
    try:
        launcher = lab.ask({"do": "status"})["launcher"]
        lab.ask({"do": "down"})
    except LabError as error:
        if launcher is None:
            raise LabError("take the lab down", str(error), "kill the process natstorm-launch: the rest goes with it") from error
    finally:
        lab.close()
    if not control.await_end(DOWN_S):
        # The kernel takes everything else away with it.
        os.kill(launcher, signal.SIGKILL)
        print(f"the keeper did not end within {DOWN_S:g} s and was killed", file=sys.stderr)
        if not control.await_end(DOWN_S):
            raise LabError("take the lab down", f"process {launcher} does not die", "look at it with ps")
    print("the lab is down")
    return 0


def _follow(report: IO[str]) -> dict[str, Any] | None:
    """Prints the steps as they begin; the last word of the keeper, or None where it ended without one."""
    began = time.monotonic()
    for line in report:
        message: dict[str, Any] = json.loads(line)
        if "step" not in message:
            return message
        print(f"{time.monotonic() - began:5.1f} s  {message['step']}", flush=True)
    return None


def _await(keeper: subprocess.Popen[bytes]) -> None:
    """Until the keeper's launcher is gone, and the lab with it."""
    try:
        keeper.wait(DOWN_S)
    except subprocess.TimeoutExpired:
        keeper.kill()
        keeper.wait()


def _show(status: dict[str, Any]) -> None:
    since = time.strftime("%H:%M:%S", time.localtime(status["since"]))
    print(f"lab {status['testbed']}, gateway {status['variant']}, up since {since} (process {status['launcher']})")
    for node in status["nodes"]:
        first, *others = node["addresses"] or [""]
        print(f"  {node['node']:8} {first:28} {node['about']}".rstrip())
        for address in others:
            print(f"  {'':8} {address}")
    mappings = status["mappings"]
    print(f"  {len(mappings)} UDP mapping{'' if len(mappings) == 1 else 's'} in the NAT")
    for m in mappings:
        inside, outside = f"{m['inside_address']}:{m['inside_port']}", f"{m['outside_address']}:{m['outside_port']}"
        answered = "" if m["answered"] else ", unanswered"
        print(f"    {inside:21} → {outside:21} to {m['remote_address']}:{m['remote_port']} ({m['expires_s']} s left{answered})")
