"""Kills runs on the bench in a box at random moments, by seed, and sees that each gives all back.

    python tests/field/kill_at_random.py [MOMENTS] [SEED]        20 moments, seed 1: some ten minutes

They are on our own gateway, on the real one, on a router, on a LAC with its LNSes and on endpoints about a NAT in turn. The first
that leaves something behind ends it, with what was left.
"""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path

from box_runs import LINUX, ROUTER, VIRTUAL, gives_all_back, played, played_on_routers, routers_give_all_back

GATEWAYS = {box[0]: box for box in (VIRTUAL, LINUX, ROUTER)}
ROUTERS = {"lac-lns": "l2tp-pool", "esp": "plain_nat"}
"""Boxes of routers, and which script is played there."""
LONGEST_S = 25.0
"""From the start of the command to the end of its scenario, on a quiet machine."""


def kill(folder: Path, box: str, after: str) -> str:
    """What the run was doing. AssertionError where it left something behind."""
    if box in ROUTERS:
        seen = played_on_routers(folder, box, ROUTERS[box], after)
        routers_give_all_back(seen)
        return str(seen["told"][-1]) if seen["told"] else ""
    seen = played(folder, GATEWAYS[box], "kill", "pair and demux", after)
    gives_all_back(seen)
    return str(seen["doing"])


def main(moments: int = 20, seed: int = 1) -> None:
    chance = random.Random(seed)
    boxes = (*GATEWAYS, *ROUTERS)
    for number in range(1, moments + 1):
        box, after = boxes[number % len(boxes)], chance.uniform(1.0, LONGEST_S)
        with tempfile.TemporaryDirectory() as folder:
            doing = kill(Path(folder), box, f"after:{after:.2f}")
        print(f"[{number}/{moments}] {box}, after {after:.1f} s, at {doing.strip()!r}: all given back", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
