"""What accounting records say, and that no name a peer gives itself is too much for one."""

from __future__ import annotations

import pytest

from harness.virtual.aaa import records
from harness.virtual.aaa.records import Cause, Session, Status, Traffic
from harness.wire.radius import packet
from harness.wire.radius.attributes import Attributes


@pytest.mark.parametrize(
    ("by", "reason", "cause"),
    [
        ("client", "closed", Cause.USER_REQUEST),
        ("gateway", "no answer to 4 LCP Echo-Requests", Cause.LOST_CARRIER),
        ("silence", "", Cause.LOST_CARRIER),
        ("ipsec", "its IPsec connection has ended", Cause.LOST_SERVICE),
        ("gateway", "the tunnel has ended", Cause.NAS_REQUEST),
    ],
)
def test_why_a_session_ended(by, reason, cause):
    assert records.cause(by, reason) is cause


@pytest.mark.parametrize("name", ["x" * 300, "\u00e9" * 200, "\N{SNOWMAN}"])
def test_names_of_any_length_fit(name):
    link = Session(1, 0.0, records.of_link(name, 1, "10.0.0.1", "10.0.0.2", (b"c" * 253,), "radius"), Traffic)
    flow = Session(2, 0.0, records.of_flow("10.0.0.1", "10.0.0.2", name), Traffic)
    for session in (link, flow):
        said = records.record(session, Status.STOP, 1.0, Cause.USER_REQUEST)
        read = packet.parse(packet.accounting_request(1, said, b"secret")).attributes
        assert read == said
    assert (Attributes(link.said).octets("user-name") or b"") == name.encode()[:247]


def test_seconds_that_are_not_whole():
    session = Session(1, 10.25, (), Traffic)
    assert Attributes(records.record(session, Status.INTERIM, 70.0)).number("acct-session-time") == 59


def test_more_than_a_word_holds():
    traffic = Traffic((1 << 32) + 5, 1 << 33, 7, 8)
    found = Attributes(records.record(Session(1, 0.0, (), lambda: traffic), Status.STOP, 1.0))
    ways = ("input", "output")
    assert [found.number(f"acct-{way}-octets") for way in ways] == [5, 0]
    assert [found.number(f"acct-{way}-gigawords") for way in ways] == [1, 2]
    assert [found.number(f"acct-{way}-packets") for way in ways] == [7, 8]
