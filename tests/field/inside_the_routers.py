"""Runs on the host of a box of routers: kills a run of the suites, has natstorm restore put the routers back, plays the suites to
their end, and looks at what is left each time.

    python -m bench_in_a_box --routers lac-lns -- python tests/field/inside_the_routers.py WORK TESTBED EXPRESSION [STEP]

The run is killed when it tells of STEP; without one it is played once. "after:SECONDS" in its place kills it then, whatever it is
doing, and nothing is played after that. The last line on standard output is a JSON object of what was seen.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from inside_the_box import AFTER, ROOT, SHOWN, device_state, natstorm, router_state, wait_until_back

from harness.lab.nic import look
from harness.lab.segment import CLIENTS
from harness.model.router_lab import LNS_2, WIRE, RouterLab
from harness.model.sites import NAT
from harness.testbed import check_any

PATIENCE_S = 300.0
RUNNING = "show running-config"
NAT_SHOWN, ENDPOINT_SHOWN = (RUNNING, "show ip nat translations"), (RUNNING, "show crypto isakmp sa", "show crypto ipsec sa")


def state(lab: RouterLab) -> dict[str, object]:
    """Of everything that a run may touch: the cards, the callers' namespace, the routers, what captures, journals."""
    home = Path(os.environ["XDG_STATE_HOME"])
    captures = {one.connection.host for one in lab.captures if one.connection is not None}

    async def routers() -> dict[str, str]:
        looked = [(role, spec.connection, shown(role)) for role, spec in lab.by_role.items() if role != LNS_2]
        said = await asyncio.gather(*(router_state(connection, commands) for _, connection, commands in looked))
        return dict(zip((role for role, *_ in looked), said, strict=True))

    return {
        "nic": [look(card.name).to_json() for card in lab.cards],
        "namespace": Path("/run/netns", CLIENTS).exists(),
        "journals": sorted(path.name for path in home.rglob("*.jsonl")),
        **{host: device_state(host) for host in captures},
        **asyncio.run(routers()),
    }


def shown(role: str) -> tuple[str, ...]:
    """What tells how a router of that role is."""
    return SHOWN if role in WIRE else NAT_SHOWN if role == NAT else ENDPOINT_SHOWN


def killed(words: list[str], step: str) -> list[str]:
    """What the run told until it told of the step, or for so long, and was killed."""
    told = []
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as run:
        assert run.stdout is not None
        if step.startswith(AFTER):
            threading.Timer(float(step.removeprefix(AFTER)), run.kill).start()
        for line in run.stdout:
            told.append(line)
            if step in line:
                run.kill()
                break
    return told


def main(work: Path, testbed: Path, expression: str, step: str = "") -> None:
    os.environ["XDG_STATE_HOME"] = str(work / "state")
    reports = work / "reports"
    reports.mkdir(parents=True)
    lab = check_any(testbed)
    assert isinstance(lab, RouterLab)
    words = natstorm("qualify", "--testbed", str(testbed), "--reports", str(reports), "-k", expression)
    found: dict[str, object] = {"before": state(lab)}
    if step:
        found["told"] = killed(words, step)
        wait_until_back()
        found["after_kill"] = state(lab)
        restore = natstorm("restore", "--testbed", str(testbed))
        restored = subprocess.run(restore, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        found["restore"] = [restored.returncode, restored.stdout + restored.stderr]
        found["restored"] = state(lab)
    if not step.startswith(AFTER):
        found |= played(words, reports)
        found["after"] = state(lab)
    print(json.dumps(found))


def played(words: list[str], reports: Path) -> dict[str, object]:
    """What a run to the end came to."""
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    summaries = sorted(reports.glob("*/summary.json"))
    return {
        "status": done.returncode,
        "said": done.stdout + done.stderr,
        "summary": json.loads(summaries[-1].read_text()) if summaries else None,
        "captures": sorted(str(path) for path in reports.rglob("*.pcap")),
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
