"""Which provider brings a testbed's lab up, and what the testbed tells it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from harness.devices.ssh import SshConnection, tail
from harness.errors import DeviceError
from harness.lab.providers.provider import Provider
from harness.lab.providers.static import Static
from harness.model.reach import Connection, LabSpec
from harness.model.secret import Secret
from harness.model.testbed import Testbed

if TYPE_CHECKING:
    from harness.lab.providers.eve_ng import EveNgSpec
    from harness.lab.providers.eve_ng_undo import OnHost
    from harness.lab.providers.gns3 import Gns3Spec

SERVERS = ("gns3", "eve-ng")
"""Providers whose devices are there only once they have brought them up: the devices are locked after that."""


def provider_of(testbed: Testbed, purpose: str, state: Path | None = None, locks: Path | None = None) -> Provider:
    """Not yet up. `purpose` is what others are told who find the lab taken; `state` is where ledgers are kept, `locks` where locks
    are (None: the user's, and this machine's). A software lab wants none of them: it is one to explore by hand, and ends with its
    keeper; a run builds its own."""
    lab = testbed.lab
    if lab.provider == "static":
        return Static.of(testbed, purpose, locks)
    if lab.provider == "gns3":
        from harness.lab.providers.gns3 import Gns3

        return Gns3(gns3_spec(lab), purpose, state, locks)
    if lab.provider == "eve-ng":
        from harness.lab.providers.eve_ng import EveNg

        return EveNg(eve_ng_spec(lab), state, on_host=None if lab.host is None else on_host(lab.host, testbed.access_secrets))
    from harness.lab.providers.namespaces import Namespaces

    return Namespaces(testbed)


def gns3_spec(lab: LabSpec) -> Gns3Spec:
    from harness.lab.providers.gns3 import ClientsAt, Gns3Spec

    options = lab.options
    return Gns3Spec(
        lab.url,
        lab.project,
        lab.username,
        lab.password,
        file=Path(options["file"]) if "file" in options else None,
        template=options.get("template"),
        start=options.get("start"),
        ca_file=options.get("ca_file"),
        clients=None if "clients" not in options else ClientsAt(**options["clients"]),
    )


def eve_ng_spec(lab: LabSpec) -> EveNgSpec:
    from harness.lab.providers.eve_ng import EveNgSpec

    options = lab.options
    return EveNgSpec(
        lab.url,
        lab.project,
        lab.username,
        lab.password or Secret(""),
        verify=options.get("ca_file") or options.get("verify", True),
        start=options.get("start"),
        clients=options.get("clients"),
        host=lab.host,
        tenant=options.get("tenant"),
    )


def foreseen(lab: LabSpec) -> tuple[str, ...]:
    """What bringing the lab up on its server, one of SERVERS, would change there, and what would come of that at the end: a line
    each. Nothing is asked of the server."""
    if lab.provider == "gns3":
        changes = gns3_spec(lab).foreseen()
    else:
        changes = eve_ng_spec(lab).foreseen()
    return tuple(f"{lab.url}: {change}" for change in changes)


def on_host(connection: Connection, secrets: tuple[Secret, ...]) -> OnHost:
    """Runs commands on the machine of the lab's server. It blocks, and so is for a thread without an event loop."""

    async def once(command: str) -> None:
        async with SshConnection(connection, root=True, secrets=secrets) as host:
            result = await host.execute(command)
        if result.status != 0:
            raise DeviceError(connection.device, command, tail(result.output))

    return lambda command: asyncio.run(once(command))
