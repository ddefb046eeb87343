"""A NAT core under test, and what comes out of it, taken apart."""

from dataclasses import replace

from nat_packets import GATEWAY, NAT, seen, udp

from harness.nat import NatCore, load


class Bench:
    """One core, and what comes out of it, taken apart."""

    def __init__(self, personality="pat", inside="10.0.0.0/24", seed=b"seed", **changes):
        chosen = load(personality) if isinstance(personality, str) else personality
        if changes:
            chosen = replace(chosen, translation=replace(chosen.translation, **changes))
        self.core = NatCore(chosen, outside=NAT, inside=inside, entropy=lambda n: (seed * n)[:n])
        self.now = 0.0

    def send(self, side, packet, **judged):
        """What comes out at once, as (side, packet taken apart)."""
        self.core.receive(self.now, side, packet)
        return [(where, seen(out, **judged)) for where, out in self.core.take_packets()]

    def up(self, packet, **judged):
        """The one packet that leaves the NAT outside for this one, or None."""
        return self._one("outside", self.send("inside", packet, **judged))

    def down(self, packet, **judged):
        return self._one("inside", self.send("outside", packet, **judged))

    def _one(self, side, out):
        if not out:
            return None
        ((where, packet),) = out
        assert where == side
        return packet

    def port(self, client, sport=500, remote=GATEWAY, dport=500, payload=b"words"):
        """The outside port at which a packet from this client arrives, or None."""
        out = self.up(udp(client, sport, remote, dport, payload))
        return None if out is None else out.ports[0]

    def wait(self, seconds):
        self.now += seconds
        self.core.tick(self.now)
