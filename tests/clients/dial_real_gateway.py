"""Dials a real gateway from the namespace it is started in, and prints what became of it as one JSON object.

    .venv/bin/python tests/lab/bench_gateway.py plain-kernel .venv/bin/python tests/clients/dial_real_gateway.py --clients 1

Clients 1…N sit at 10.0.0.2 and up, as user1/pw1 and so on. They connect one after the other, each marked traffic flows for
`--hold` seconds once all have tried, then all hang up.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from harness.clients import journal
from harness.clients.clock import RunClock
from harness.clients.fleet import Fleet
from harness.clients.journal import Journal
from harness.clients.transport import Transport, open_ports
from harness.model import ClientPlan, RecordKind, Secret


def plan(number: int, arguments: argparse.Namespace) -> ClientPlan:
    return ClientPlan(
        number=number,
        address=f"10.0.0.{number + 1}",
        gateway=arguments.gateway,
        psk=Secret(arguments.psk),
        user=f"user{number}",
        password=Secret(arguments.password or f"pw{number}"),
        personality=arguments.personality,
    )


async def dial(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    with Journal(folder, RunClock.fix()) as diary:
        async with Fleet(carriers=[Transport(open_ports())], journal=diary) as fleet:
            for number in range(1, arguments.clients + 1):
                client = fleet.add(plan(number, arguments))
                client.connect()
                if await client.until_up(arguments.patience):
                    client.send_marks(arguments.rate)
                    await client.until(RecordKind.MARK_ANSWERED, 5)
            if arguments.action:
                await asyncio.sleep(1)
                for client in fleet.clients.values():
                    getattr(client, arguments.action)()
            await fleet.until(lambda fleet: False, arguments.hold)
            for client in fleet.clients.values():
                client.stop_marks()
            await fleet.until(lambda fleet: not any(client.flow.unanswered for client in fleet.clients.values()), 2)
            for client in fleet.clients.values():
                if client.up:
                    client.disconnect()
            await fleet.until(lambda fleet: not any(client.connected for client in fleet.clients.values()), 15)
            facts = fleet.facts()
    records = journal.read(folder / "records.jsonl").records
    if arguments.verbose:
        for record in records:
            if record.kind not in (RecordKind.MARK_SENT, RecordKind.MARK_ANSWERED):
                print(record.to_json(), file=sys.stderr)
    clients = {}
    for name in fleet.clients:
        own = [record for record in records if record.client == name]
        counts = Counter(record.kind.value for record in own)
        pinged = next((r.data["total"] for r in own if r.kind is RecordKind.PINGED), None)
        clients[name] = {
            "stages": {r.data["stage"]: round(r.data["took"], 3) for r in own if r.kind is RecordKind.STAGE},
            "first answer after": pinged,
            "failed": [dict(r.data) for r in own if r.kind is RecordKind.FAILED],
            "ended": [dict(r.data) for r in own if r.kind is RecordKind.ENDED],
            "counts": counts,
        }
    impaired = [dict(r.data) for r in records if r.kind is RecordKind.IMPAIRED]
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {"clients": clients, "fleet": facts, "impaired": impaired, "cpu_s": round(usage.ru_utime + usage.ru_stime, 3)}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--personality", default="windows7")
    parser.add_argument("--gateway", default=os.environ.get("NATSTORM_GATEWAY", "203.0.113.231"))
    parser.add_argument("--psk", default="sharedsecret")
    parser.add_argument("--password")
    parser.add_argument("--rate", type=float, default=10.0)
    parser.add_argument("--hold", type=float, default=3.0)
    parser.add_argument("--patience", type=float, default=20.0)
    parser.add_argument("--action", choices=["rekey_ipsec", "rekey_ike", "delete_ipsec", "vanish"])
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        print(json.dumps(asyncio.run(dial(arguments, arguments.folder or Path(scratch))), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
