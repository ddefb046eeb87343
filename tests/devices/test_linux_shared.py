"""What of somebody's on a gateway forbids a run there."""

from __future__ import annotations

import pytest

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


LEGACY = """\
*filter
:INPUT ACCEPT [0:0]
:FORWARD {policy} [0:0]
:natstorm-INPUT - [0:0]
-A INPUT -j natstorm-INPUT
-A INPUT -p tcp -j {verdict}
-A natstorm-INPUT -p udp --dport 1701 -j DROP
COMMIT
"""
NFT = """\
table inet filter {{
\tchain input {{
\t\ttype {kind} hook input priority filter; policy {policy};
\t\ttcp dport 22 accept
\t}}
}}
table ip natstorm {{
\tchain translate {{
\t\ttype nat hook postrouting priority srcnat - 1; policy accept;
\t}}
}}
"""


@pytest.mark.parametrize(
    ("iptables", "nftables", "said"),
    [
        ("", "", ()),
        (LEGACY.format(policy="ACCEPT", verdict="ACCEPT"), NFT.format(kind="filter", policy="accept"), ()),
        (LEGACY.format(policy="DROP", verdict="ACCEPT"), "", ("iptables (legacy)",)),
        (LEGACY.format(policy="ACCEPT", verdict="REJECT --reject-with tcp-reset"), "", ("iptables (legacy)",)),
        ("", NFT.format(kind="filter", policy="drop"), ("nftables table inet filter",)),
        ("", NFT.format(kind="nat", policy="drop"), ()),
    ],
)
def test_a_filter_of_somebodys_that_may_keep_clients_out_is_noted(iptables, nftables, said):
    notes = found(states="", policies="", pppd="", iptables=iptables, nftables=nftables).notes
    assert len(notes) == len(said)
    assert all(note.startswith(begin) for note, begin in zip(notes, said, strict=True))
