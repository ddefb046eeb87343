"""`natstorm lab import eve-ng`: what of an EVE-NG lab goes into a testbed file. Reads, and changes nothing."""

from __future__ import annotations

from pathlib import Path

from harness.lab.providers.eve_ng_api import EveNgApi
from harness.lab.providers.eve_ng_http import Session
from harness.lab.providers.eve_ng_topology import nodes_of, wires_of
from harness.lab.providers.import_yaml import Described
from harness.model.secret import Secret

PASSWORD = "NATSTORM_EVE_PASSWORD"
"""The environment variable that has it."""
MANAGEMENT = "pnet0"
"""The bridge of EVE-NG's own network card: it leads to its web page, and rarely to clients."""


def import_eve_ng(url: str, lab: str, user: str, password: Secret, *, verify: bool | str = True) -> Described:
    """The lab's name, its provider section, nodes and links. `clients` is among the options where one network alone leads to them.
    `verify`: True, False, or a CA file.

    Raises LabError (EVE-NG, with the labs that are there where this one is not), UsageError (the address or path)."""
    session = Session(url, user, password, verify=verify)
    try:
        api = EveNgApi(session, lab)
        api.must_exist()
        edition = api.edition()
        nodes, networks = api.nodes(), api.networks()
        wires = wires_of(nodes, networks, {number: api.interfaces(number) for number in nodes})
    finally:
        session.close()
    section = {"provider": "eve-ng", "url": session.server, "project": api.lab, "user": user, "password": f"%ENV{{{PASSWORD}}}"}
    options: dict[str, str | int] = {"edition": "pro" if edition.pro else "community"}
    if isinstance(verify, str):
        options["ca_file"] = str(Path(verify).absolute())
    elif not verify:
        options["verify"] = False
    out = sorted({wire.network.kind for wire in wires if wire.leads_out} - {MANAGEMENT})
    if len(out) == 1:
        options["clients"] = out[0]
    name = api.lab.rsplit("/", 1)[-1].removesuffix(".unl")
    return Described(name, section, nodes_of(nodes, networks, session.host), tuple(wire.link for wire in wires), options)
