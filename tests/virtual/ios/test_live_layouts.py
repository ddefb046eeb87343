"""The lines of the live shows against those of the samples, which others have printed: the same words in the same columns, whatever
the numbers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from test_live_demux import lab  # noqa: F401  (a fixture)
from test_live_vpdn import LNS, routers  # noqa: F401

from harness.devices.ios.parsers.crypto_map import parse_crypto_map
from harness.wire.config import EspProposal

LIMITED = (EspProposal("3des", "sha1", 600, 4386136),)
SAMPLES = Path(__file__).parents[2] / "devices" / "samples" / "ios"


def shape(line):
    """With every number, and the blanks that it pushes, as one sign."""
    return re.sub(r"\s*\b(?:0x)?[0-9A-F]*\d[0-9A-F]*\b\s*", " # ", line.rstrip()).rstrip()


def sample(name):
    return [line for line in (SAMPLES / f"{name}.txt").read_text().splitlines() if "#show" not in line]


def test_ipsec_sa_of_12_4(lab):  # noqa: F811
    """Two clients behind one NAT, as in the sample."""
    at = lab(more=("crypto ipsec security-association lifetime kilobytes 4386136",))
    at.dial(1, ike__esp_proposals=LIMITED)
    at.dial(2, ike__esp_proposals=LIMITED)
    shown, wanted = at.router.run("show crypto ipsec sa"), sample("ipsec_sa/12.4-nat-t")
    assert [shape(line) for line in shown if line.strip()] == [shape(line) for line in wanted if line.strip()]


def test_ipsec_sa_of_12_2(routers):  # noqa: F811
    at = routers(release="12.2(11)T")
    at.call()
    shown, wanted = at.terminals[LNS].run("show crypto ipsec sa"), sample("ipsec_sa/12.2")
    assert [shape(line) for line in shown if line.strip()] == [shape(line) for line in wanted if line.strip()]


@pytest.mark.parametrize(
    ("command", "name", "release"),
    [
        ("show crypto isakmp sa", "isakmp_sa/12.4", "12.4(1)"),
        ("show crypto isakmp sa", "isakmp_sa/12.2", "12.2(11)T"),
        ("show crypto engine connections active", "crypto_engine/12.4", "12.4(1)"),
        ("show crypto engine connections active", "crypto_engine/l2tp-security", "12.2(11)T"),
        ("show vpdn", "vpdn/12.3", "12.4(1)"),
        ("show vpdn", "vpdn/12.2", "12.2(11)T"),
        ("show ip local pool", "local_pool/12.4", "12.4(1)"),
        ("show crypto isakmp sa", "isakmp_sa/iosxe", "15.1(4)M"),
        ("show crypto engine connections active", "crypto_engine/15", "15.1(4)M"),
        ("show vpdn tunnel", "vpdn/iosxe-tunnel", "15.1(4)M"),
        ("show vpdn session", "vpdn/iosxe-session", "15.1(4)M"),
    ],
)
def test_headings(routers, command, name, release):  # noqa: F811
    """Every line without a number stands in the sample, blank by blank, in the same order; samples end sooner."""
    at = routers(release=release)
    at.call()
    headings = [line.rstrip() for line in at.terminals[LNS].run(command) if line.strip() and "#" not in shape(line)]
    headings = [line for line in headings if not re.search(r"PPPoE|, Vi\d", line)]  # the second: a user's name that goes on
    if release.startswith("15"):
        headings = [line for line in headings if "%" not in line]
    assert headings
    assert [line.rstrip() for line in sample(name) if line.rstrip() in headings] == headings


def test_a_map_on_no_interface_is_read_back(lab):  # noqa: F811
    at = lab(more=("crypto map LOOSE 5 ipsec-isakmp", "set peer 192.0.2.9", "match address 101", "set pfs group2",
                   "access-list 101 permit ip host 10.0.0.1 any"))  # fmt: skip
    (loose,) = at.router.shown("show crypto map tag LOOSE", parse_crypto_map)
    assert (loose.peers, loose.permits, loose.access_list) == (("192.0.2.9",), ("permit ip host 10.0.0.1 any",), "101")
    assert (loose.pfs, loose.group, loose.interfaces, loose.transform_sets) == (True, "group2", (), ())
