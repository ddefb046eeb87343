"""Nothing leaves for where the testbed does not allow, nor faster than it allows; what did not leave is told."""

from harness.clients.carrier import Counters
from harness.clients.gated import Gated
from harness.model import Allowance
from harness.wire.events import Datagram

SOURCE = bytes((10, 0, 0, 2))
HELLO = Datagram(500, 500, b"hello")


class Clock:
    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now


class Carrying:
    """A carrier that notes what it is given."""

    site = 1

    def __init__(self):
        self.counters, self.sent, self.closed = Counters(), [], False

    def open(self, owner, clock):
        self.owner = owner

    def send(self, source, to, datagram):
        self.sent.append(to)

    def close(self):
        self.closed = True


class Owner:
    def __init__(self):
        self.told = []

    def lost(self, reason, count):
        self.told.append((reason, count))


def gate(networks=("203.0.113.0/24",), rate=100):
    carrying, owner, clock = Carrying(), Owner(), Clock()
    gated = Gated(carrying, Allowance(tuple(networks), rate))
    gated.open(owner, clock)
    return gated, carrying, owner, clock


def test_it_sends_where_it_may_and_tells_of_the_rest():
    gated, carrying, owner, _ = gate()
    for to in ("203.0.113.231", "198.51.100.9", "203.0.113.1", "198.51.100.9"):
        gated.send(SOURCE, to, HELLO)
    assert carrying.sent == ["203.0.113.231", "203.0.113.1"]
    assert owner.told == [("198.51.100.9 is in none of the networks that the testbed allows: not sent", 1)] * 2
    assert gated.site == 1
    assert gated.counters is carrying.counters
    gated.close()
    assert carrying.closed


def test_no_second_sees_more_than_the_rate():
    """However they come: in a burst, evenly, or in a burst after a rest."""
    gated, carrying, owner, clock = gate(rate=100)
    moments = []
    for step in range(4000):  # ten seconds, with bursts at 0, 3 and 3.9 s and a steady load of 400 a second
        clock.now = 100.0 + step / 400
        before = len(carrying.sent)
        for _ in range(300 if step in (0, 1200, 1560) else 1):
            gated.send(SOURCE, "203.0.113.231", HELLO)
        moments += [clock.now] * (len(carrying.sent) - before)
    assert len(moments) == 1000  # and it is there to be had
    busiest = max(sum(start <= at < start + 1.0 for at in moments) for start in moments)
    assert busiest <= 100
    assert owner.told[0] == ("the testbed allows 100 packets a second: not sent", 1)
    assert len(owner.told) + len(moments) == 4000 + 3 * 299
