"""`natstorm lab up|status|console|down` of a testbed whose devices are not the harness's own: what its provider can do of them."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import asdict

from harness.errors import LabError, MissingTool, UsageError, typed
from harness.lab.providers.of_testbed import provider_of
from harness.lab.providers.provider import STARTED, LabStatus, OnServer, unable
from harness.model.testbed import Testbed

PURPOSE = "natstorm lab"


def up(testbed: Testbed, variant: str | None, *, dry_run: bool = False) -> int:
    """Returns once the nodes are started; they stay so, and `down`, or the next run on the testbed, undoes it. LabError where
    nobody starts them. `dry_run`: says which would be, and starts none."""
    if variant is not None:
        raise UsageError("a lab on a server has no gateway variant: a run configures the gateway", cure="leave --variant out")
    provider = _on_server(testbed, "bring the lab up")
    if dry_run:
        print("\n".join(would_start(provider.status())))
        return 0
    status = provider.up()
    provider.leave()
    print("\n".join(lines(status)))
    of = shlex.quote(testbed.file)
    print(f"\nopen a console:  {typed(f'lab console NODE --testbed {of}')}\nend it:          {typed(f'lab down --testbed {of}')}")
    print("What it started is stopped by that, or by the next run on this testbed.")
    return 0


def status(testbed: Testbed, as_json: bool) -> int:
    """0 where all nodes are started, 1 where not, or nobody can say."""
    found = provider_of(testbed, PURPOSE).status()
    print(json.dumps(asdict(found), indent=1) if as_json else "\n".join(lines(found)))
    return 0 if found.up else 1


def console(testbed: Testbed, node: str) -> int:
    """This process becomes telnet or ssh. LabError for a console that neither speaks to."""
    where = provider_of(testbed, PURPOSE).console(node)
    if where.protocol not in ("telnet", "ssh"):
        cure = f"a program that does, for {where.protocol}://{where.host}:{where.port}"
        raise LabError(f"open the console of {node}", f"it speaks {where.protocol}, which natstorm does not", cure)
    command = ["ssh", "-p", str(where.port), where.host] if where.protocol == "ssh" else ["telnet", where.host, str(where.port)]
    program = shutil.which(command[0])
    if program is None:
        cure = f"install it, or open it otherwise: {shlex.join(command)}"
        raise MissingTool(f"open the console of {node}", f"{command[0]} is not installed", cure)
    os.execv(program, command)


def down(testbed: Testbed) -> int:
    """0 once all that `up` did is undone, whether or not there was anything."""
    for sentence in _on_server(testbed, "take the lab down").clean():
        print(sentence)
    print("the lab is down")
    return 0


def would_start(found: LabStatus) -> Iterator[str]:
    """What `up` would do, for a person."""
    off = [node for node in found.nodes if node.state != STARTED and not node.passive]
    yield from (f"would start {node.name} ({node.kind}, {node.state}) of {found.lab} on {found.provider}" for node in off)
    if not off:
        yield f"would start nothing: all nodes of {found.lab} on {found.provider} are started"


def lines(found: LabStatus) -> Iterator[str]:
    """A status, for a person."""
    yield f"lab {found.lab}, {found.provider}, {'up' if found.up else 'not up'}"
    for node in found.nodes:
        at = "" if node.console is None else f"  {node.console.protocol} {node.console.host} {node.console.port}"
        yield f"  {node.name:12} {node.kind}, {node.state}{at}"
    for link in found.links:
        yield f"  link {link}{'' if link.up else ': DOWN'}"
    for note in found.notes:
        yield f"  {note}"


def _on_server(testbed: Testbed, step: str) -> OnServer:
    provider = provider_of(testbed, PURPOSE)
    if not isinstance(provider, OnServer):
        raise unable(provider.name, step, f"nothing: the devices are there, and {typed('qualify')} takes the locks on them")
    return provider
