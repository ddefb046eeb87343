"""`natstorm lab import eve-ng`: what of an EVE-NG lab goes into a testbed file. Reads, and changes nothing."""

from __future__ import annotations

from typing import NamedTuple

from harness.lab.providers.eve_ng_api import EveNgApi
from harness.lab.providers.eve_ng_http import Session
from harness.lab.providers.eve_ng_topology import nodes_of, wires_of
from harness.lab.providers.provider import Link, Node
from harness.model.secret import Secret

PASSWORD = "NATSTORM_EVE_NG_PASSWORD"
"""The environment variable that has it."""
MANAGEMENT = "pnet0"
"""The bridge of EVE-NG's own network card: it leads to its web page, and rarely to clients."""


class Imported(NamedTuple):
    """`lab` is its name, `section` what stands below `testbed.custom.lab`: of the password it says where that comes from."""

    lab: str
    section: dict[str, str | int]
    nodes: tuple[Node, ...]
    links: tuple[Link, ...]


def import_eve_ng(url: str, lab: str, user: str, password: Secret, *, verify: bool | str = True) -> Imported:
    """The lab's name, its provider section, nodes and links. `clients` is in the section where one network alone leads to them.

    Raises LabError (EVE-NG, with the labs that are there where this one is not), UsageError (the address or path)."""
    session = Session(url, user, password, verify=verify)
    try:
        api = EveNgApi(session, lab)
        api.must_exist()
        nodes, networks = api.nodes(), api.networks()
        wires = wires_of(nodes, networks, {number: api.interfaces(number) for number in nodes})
    finally:
        session.close()
    section: dict[str, str | int] = {"provider": "eve-ng", "url": session.server, "lab": api.lab, "user": user}
    section["password"] = f"%ENV{{{PASSWORD}}}"
    if verify is not True:
        section["verify"] = verify
    out = sorted({wire.network.kind for wire in wires if wire.leads_out} - {MANAGEMENT})
    if len(out) == 1:
        section["clients"] = out[0]
    name = api.lab.rsplit("/", 1)[-1].removesuffix(".unl")
    return Imported(name, section, nodes_of(nodes, networks, session.host), tuple(wire.link for wire in wires))
