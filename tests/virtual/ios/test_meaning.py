"""What the document's example means for a gateway, and each line of it that is taken away."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.model.ios_releases import features_of, parse
from harness.virtual import settings
from harness.virtual.ios.configuration import Configuration
from harness.virtual.ios.configure import load
from harness.virtual.ios.meaning import lns, map_entries

EXAMPLE = (Path(__file__).parent / "configurations" / "nat-demux-lns.cfg").read_text()
KEY = "crypto isakmp key cisco address 0.0.0.0 0.0.0.0\n"
BASE = settings.load("demux")


def tree(more="", text=EXAMPLE + KEY):
    configuration = Configuration()
    assert load(configuration, (text + more).splitlines(), features_of(parse("12.4(1)"))) == []
    return configuration.tree


def meant(more=""):
    found = lns(tree(more), BASE)
    assert found.settings is not None, found.lacks
    return found.settings


def test_the_example():
    found = meant()
    its = found.personality
    assert lns(tree(), BASE).lacks == ()
    assert (found.address, found.ppp_address) == ("11.0.0.8", "12.0.0.8")
    assert (found.pool_first, found.pool_last) == ("20.0.0.100", "20.0.0.110")  # DMX-66
    assert found.lan == "20.0.0.8/24"
    assert found.psk.reveal() == "cisco"
    assert found.users["w2k01"].reveal() == "lab"
    assert (its.ipsec, its.demux, its.checksum) == (True, True, "ignore")  # DMX-51
    ((cipher, hmac, life),) = [(one.encryption, one.authentication, one.lifetime_s) for one in its.esp_proposals]
    assert (cipher, hmac, life) == ("3des", "sha1", 600)  # DMX-58, DMX-62
    assert its.dpd == 3600.0  # DMX-59
    assert (its.secret, its.challenge) == (None, False)  # DMX-64
    assert its.authentication == ("chap-md5", "mschapv1")  # DMX-65
    assert [(one.encryption, one.hash, one.group) for one in its.ike_proposals] == [("3des", "sha1", "modp1024")]


def test_the_keyrings_key_is_for_any_address_too():
    assert lns(tree(text=EXAMPLE), BASE).settings.psk.reveal() == "*****"


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("crypto dynamic-map DYN_MAP 10\n no set nat demux", "demux", False),
        ("no vpdn ip udp ignore checksum", "checksum", "verify"),
        ("interface FastEthernet0/0\n no crypto map", "ipsec", False),
        ("no crypto map CRYP_MAP 6000", "ipsec", False),
        ("no crypto dynamic-map DYN_MAP 10", "ipsec", False),
        ("no crypto isakmp keepalive", "dpd", None),
        ("interface Virtual-Template1\n ppp authentication ms-chap-v2", "authentication", ("mschapv2",)),
        ("vpdn-group 1\n default l2tp tunnel authentication\n l2tp tunnel password hush", "secret", "hush"),
        ("vpdn-group 1\n l2tp tunnel authentication\n l2tp tunnel password hush", "challenge", True),
        ("vpdn-group 1\n local name GATE", "host_name", "GATE"),
        ("interface Virtual-Template1\n keepalive 20", "echo", 20.0),
        ("interface Virtual-Template1\n keepalive 0", "echo", None),
        ("interface Virtual-Template1\n no keepalive", "echo", None),
    ],
)
def test_a_line_has_its_effect(line, name, value):
    assert getattr(meant(line).personality, name) == value
    assert getattr(meant().personality, name) != value


@pytest.mark.parametrize(
    "line", ["no vpdn enable", "no vpdn-group 1", "no ip local pool POOL", "interface FastEthernet0/0\n no ip address"]
)
def test_without_this_there_is_no_lns(line):
    found = lns(tree(line), BASE)
    assert found.settings is None
    assert found.lacks


def test_a_life_of_the_map_is_before_the_one_for_all():  # SEC-25
    found = meant("crypto dynamic-map DYN_MAP 10\n set security-association lifetime seconds 120")
    assert [one.lifetime_s for one in found.personality.esp_proposals] == [120]
    found = meant("no crypto ipsec security-association lifetime seconds")
    assert [one.lifetime_s for one in found.personality.esp_proposals] == [3600]


def test_the_dynamic_entry_comes_where_its_number_says():  # DMX-63
    more = "crypto map CRYP_MAP 5 ipsec-isakmp\n set transform-set TS1\ncrypto map CRYP_MAP 100 ipsec-isakmp\n set peer 1.1.1.1"
    lines = [one.line for one in map_entries(tree(more), "CRYP_MAP")]
    assert lines == ["crypto map CRYP_MAP 5 ipsec-isakmp", "crypto map CRYP_MAP 100 ipsec-isakmp", "crypto dynamic-map DYN_MAP 10"]
