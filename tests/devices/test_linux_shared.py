"""What of somebody's on a gateway forbids a run there."""

from __future__ import annotations

from harness.devices import linux_shared
from harness.devices.linux_view import SECTION

STATES = """\
src 198.51.100.1 dst 198.51.100.2
\tproto esp spi 0x00001234 reqid 0 mode transport
src 198.51.100.2 dst 198.51.100.1
\tproto esp spi 0x00001235 reqid 0 mode transport
"""
SOCKETS = """\
src 0.0.0.0/0 dst 0.0.0.0/0
\tsocket in priority 0
src ::/0 dst ::/0
\tsocket out priority 0
"""
POLICY = """\
src 10.1.0.0/16 dst 10.2.0.0/16 uid 0
\tdir out priority 0
\ttmpl src 198.51.100.1 dst 198.51.100.2
"""


def found(**texts):
    return linux_shared.read("".join(f"\n{SECTION}{name}\n{text}" for name, text in texts.items()))


def test_sas_policies_and_links_are_named():
    seen = found(states=STATES, policies=SOCKETS + POLICY, pppd="412 pppoe-connect\n").in_the_way
    assert seen == (
        "2 IPsec SAs of somebody's (198.51.100.1 to 198.51.100.2, 198.51.100.2 to 198.51.100.1)",
        "1 IPsec policy of somebody's (10.1.0.0/16 to 10.2.0.0/16)",
        "pppd 412, which pppoe-connect has started",
    )
    (many,) = found(states=STATES * 20, policies="", pppd="").in_the_way
    assert many.startswith("40 IPsec SAs")
    assert many.endswith("and 36 more)")


def test_an_idle_daemons_sockets_are_nothing_that_would_be_lost():
    assert found(states="", policies=SOCKETS, pppd="").in_the_way == ()
