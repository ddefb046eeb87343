"""`natstorm wire`: the probes and verdicts on captures taken elsewhere."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

DESCRIPTION = """\
Judges captures of the two sides of a NAT, pcap or pcapng, that no run of natstorm took: who the clients are, what the NAT did to
their packets, and, with the keys, who lost a session to whom. Gateway, NAT and clients are deduced where they are not given.
The keys are a run's keys.jsonl, or lines of Wireshark's esp_sa and ikev1_decryption_table. One capture alone is told, not judged.
Exit status: 0 all passed, 1 a failure, 2 a mistake in the usage or the files, 3 inconclusive.
"""
STATUS = {"pass": 0, "fail": 1, "inconclusive": 3}


def add_commands(commands: Any) -> None:
    command = commands.add_parser("wire", help="judge captures taken elsewhere", description=DESCRIPTION)
    add = command.add_argument
    add("inside", type=Path, metavar="INSIDE", help="capture between the clients and the NAT")
    add("outside", type=Path, nargs="?", metavar="OUTSIDE", help="capture between the NAT and the gateway, of the same time")
    add("--keys", type=Path, metavar="F", help="keys of the main modes and SAs")
    add("--gateway", metavar="A", help="the gateway's address (default: deduced)")
    add("--prefix", metavar="P", help="the clients' inside network (default: all who talk to the gateway)")
    add("--nat", metavar="A", help="the NAT's outside address (default: deduced)")
    add("--json", action="store_true", help="everything as JSON and nothing else")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from harness.probes.dissect import Dissector
    from harness.scenario.taken_elsewhere import Asked, take
    from harness.scenario.wire_told import judge, lines, to_dict

    given = {name: getattr(arguments, name) for name in ("inside", "outside", "keys", "gateway", "prefix", "nat")}
    with Dissector() as dissector:
        told = judge(take(Asked(**given), dissector))
    if arguments.json:
        sys.stdout.write(json.dumps(to_dict(told), indent=1, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write("\n".join(lines(told)) + "\n")
    return STATUS[told.outcome.value]
