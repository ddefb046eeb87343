"""A fault puts something else in the place of one part, before the core is made or after: the core works with what is there."""

from dataclasses import replace

import pytest
from nat_packets import CLIENT, GATEWAY, NAT, SECOND, seen, udp

from harness.nat import NatCore, build, load
from harness.nat.fragments import Fragments
from harness.nat.link import Impairments, Link
from harness.nat.rewriting import Rewriter
from harness.nat.table import Table
from harness.nat.timers import Timers


class SamePort:
    """An allocator that gives everybody one port."""

    def __init__(self, ports):
        self.ports = ports

    def choose(self, port, siblings, free):
        return 7777

    def reset(self):
        pass


class ForgetsChecksums(Rewriter):
    def _udp_checksum(self, buffer, at, change):
        pass


class WrongClient(Table):
    """Answers go to whoever came last."""

    def find_coming(self, now, protocol, key):
        found = super().find_coming(now, protocol, key)
        return found and list(self._leaving[protocol].values())[-1]


class Loses(Link):
    def carry(self, now, packet):
        return []


def same_port(parts):
    parts.translator.allocator = SamePort(parts.translator.allocator.ports)


def no_checksums(parts):
    parts.rewriter = ForgetsChecksums()


def wrong_client(parts):
    parts.translator.table = WrongClient(100)


def one_second(parts):
    parts.translator.timers = Timers(udp_s=1.0, udp_stream_s=1.0)


def lost(parts):
    parts.up = Loses(Impairments(), None)


def translates_no_port(parts):
    parts.translator = replace(parts.translator, allocator=load_preserving(parts), overload=True)


def load_preserving(parts):
    class Keep(SamePort):
        def choose(self, port, siblings, free):
            return port

    return Keep(parts.translator.allocator.ports)


def shows(core):
    """What two clients and the gateway see of the NAT."""
    told = []
    for client in (CLIENT, SECOND):
        core.receive(0.0, "inside", udp(client, 500, GATEWAY, 500, client.encode()))
        for _, out in core.take_packets():
            try:
                told.append(("left", seen(out).ports[0]))
            except AssertionError as error:
                told.append(("left", str(error).partition("\n")[0]))
    for _, port in told[:2]:
        if isinstance(port, int):
            core.receive(0.5, "outside", udp(GATEWAY, 500, NAT, port))
            told += [("arrived", seen(out, sums=False).dst) for _, out in core.take_packets()]
    core.tick(2.0)
    return [*told, len(core.mappings())]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("fault", "seen_as"),
    [
        (None, [("left", 1024), ("left", 1025), ("arrived", CLIENT), ("arrived", SECOND), 2]),
        (same_port, [("left", 7777), ("left", 7777), ("arrived", SECOND), ("arrived", SECOND), 2]),
        (translates_no_port, [("left", 500), ("left", 500), ("arrived", SECOND), ("arrived", SECOND), 2]),
        (no_checksums, [("left", "UDP checksum"), ("left", "UDP checksum"), 2]),
        (wrong_client, [("left", 1024), ("left", 1025), ("arrived", SECOND), ("arrived", SECOND), 2]),
        (one_second, [("left", 1024), ("left", 1025), ("arrived", CLIENT), ("arrived", SECOND), 0]),
        (lost, [2]),
    ],
)
def test_a_broken_part_shows(fault, seen_as, when):
    personality = load("cookie-helper")
    personality = replace(personality, translation=replace(personality.translation, ike="none"))
    parts = build(personality, bytes)
    if fault and when == "before":
        fault(parts)
    core = NatCore(personality, outside=NAT, inside="10.0.0.0/24", entropy=bytes, parts=parts)
    if fault and when == "after":
        fault(core.parts)
    assert shows(core) == seen_as


def test_a_core_can_be_without_a_memory_for_fragments(bench):
    class Amnesia(Fragments):
        def further(self, now, packet):
            return None, False

    from harness.nat.link import fragment

    nat = bench("pat")
    nat.core.parts.fragments_up = Amnesia()
    out = [one for piece in fragment(udp(CLIENT, 500, GATEWAY, 500, bytes(3000)), 1500) for one in nat.send("inside", piece)]
    assert len(out) == 1
