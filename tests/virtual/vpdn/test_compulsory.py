from __future__ import annotations

from typing import Any


def test_end_to_end(bench: Any) -> None:
    world = bench()
    caller = world.call()
    for b in (world.lac, world.lns):
        for e in b.events: print(b is world.lac, e)
    print([ (round(t,3),p.src,p.protocol,p.dport,len(p.payload)) for t,p in world.wire])
    print(caller.core.told, caller.core.address)
    assert caller.core.address == "172.16.1.10"
