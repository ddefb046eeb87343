"""What a configuration means for a tunnel-mode endpoint: which side is which, whom it protects what from, and what it says of lines
that do nothing."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from harness.model.ios_releases import features_of, parse
from harness.virtual.crypto_map import DynamicReference, IsakmpEntry, ManualEntry
from harness.virtual.ios.configuration import Configuration
from harness.virtual.ios.configure import load
from harness.virtual.ios.endpoint_meaning import plan, transparency
from harness.wire.config import IkeProposal

NOW = features_of(parse("15.1(4)M"))
ROUTER = """
interface FastEthernet0/0
 ip address 203.0.113.1 255.255.255.0
interface FastEthernet0/1
 ip address 10.1.0.1 255.255.0.0
"""
MAPPED = ROUTER + "interface fa0/0\n crypto map M\n"
IKE = "crypto isakmp policy 1\n authentication pre-share\ncrypto isakmp key k address 10.0.0.0 255.0.0.0\n"
WHOLE = (
    IKE + "access-list 101 permit ip any any\ncrypto ipsec transform-set T esp-3des esp-sha-hmac\n"
    "crypto map M 5 ipsec-isakmp\n set peer 10.0.0.9\n set transform-set T\n match address 101\n" + MAPPED
)


def of(text, known="", features=NOW):
    configuration = Configuration()
    assert load(configuration, text.splitlines(), features) == []
    return plan(configuration.tree, features, known)


def test_a_whole_configuration_lacks_nothing():
    made = of(WHOLE)
    assert made.lacks == ()
    assert (made.interface, made.up, made.settings.address) == ("FastEthernet0/0", True, "203.0.113.1")
    assert made.settings.policy.crypto_map.entries == (IsakmpEntry(5, "101", ("10.0.0.9",), ("T",)),)
    assert made.settings.ike_proposals == (IkeProposal("des", "sha1", "modp768", 86400),)
    assert made.settings.key_for("10.0.0.9") == b"k"
    assert made.settings.key_for("192.0.2.1") is None
    assert (made.settings.dpd_s, made.settings.keepalive_s, made.settings.idle_s) == (None, 0.0, None)


@pytest.mark.parametrize(
    ("more", "known", "interface"),
    [
        ("interface fa0/1\n crypto map M", "", "FastEthernet0/1"),
        ("ip route 0.0.0.0 0.0.0.0 10.1.0.9", "", "FastEthernet0/1"),
        ("ip route 0.0.0.0 0.0.0.0 FastEthernet0/0", "", "FastEthernet0/0"),
        ("ip route 0.0.0.0 0.0.0.0 FastEthernet0/0 203.0.113.9 250", "", "FastEthernet0/0"),
        ("interface fa0/1\n crypto map M\nip route 0.0.0.0 0.0.0.0 203.0.113.9", "", "FastEthernet0/1"),
        ("", "FastEthernet0/1", "FastEthernet0/1"),
        ("ip route 0.0.0.0 0.0.0.0 203.0.113.9", "FastEthernet0/1", "FastEthernet0/0"),
        ("ip route 0.0.0.0 0.0.0.0 192.0.2.1", "", ""),
        ("", "", ""),
    ],
)
def test_which_interface_is_outside(more, known, interface):
    made = of(ROUTER + more, known)
    assert made.interface == interface
    assert (made.settings is None) is (interface == "")


def test_the_inside_is_every_other_network_and_what_routes_lead_to_behind_them():
    made = of(
        MAPPED + "interface fa0/1\n ip address 10.9.0.1 255.255.0.0 secondary\n"
        "interface fa1/0\n ip address 172.16.0.1 255.255.255.0\ninterface fa1/1\n ip address 172.17.0.1 255.255.255.0\n shutdown\n"
        "ip route 10.20.0.0 255.255.0.0 10.9.0.7\nip route 10.21.0.0 255.255.0.0 FastEthernet1/0\n"
        "ip route 10.22.0.0 255.255.0.0 203.0.113.9\nip route 0.0.0.0 0.0.0.0 203.0.113.9\n"
    )
    wanted = ("10.1.0.0/16", "10.9.0.0/16", "172.16.0.0/24", "10.20.0.0/16", "10.21.0.0/16")
    assert made.settings.inside == tuple(map(IPv4Network, wanted))


def test_local_address_is_that_of_the_interface_it_names():
    loopback = "interface Loopback0\n ip address 192.0.2.7 255.255.255.255\n"
    made = of(WHOLE + "crypto map M local-address Loopback0\n" + loopback)
    assert (made.interface, made.settings.address) == ("FastEthernet0/0", "192.0.2.7")
    assert of(WHOLE + "crypto map M local-address Loopback0\n").settings is None
    assert of(WHOLE + "crypto map OTHER local-address Loopback0\n" + loopback).settings.address == "203.0.113.1"


def test_an_outside_interface_that_is_shut_down_is_known_and_not_up():
    made = of(WHOLE + "interface fa0/0\n shutdown\n")
    assert (made.up, made.settings.address) == (False, "203.0.113.1")


def test_peers_come_default_first_and_by_name():
    made = of(
        WHOLE + "ip host gate 10.0.0.7\ncrypto map M 5\n set peer gate\n set peer nowhere\n set peer 10.0.0.8 default\n"
    )
    assert made.settings.policy.crypto_map.entries[0].peers == ("10.0.0.8", "10.0.0.9", "10.0.0.7")
    assert [lack for lack in made.lacks if "nowhere" in lack] == [
        "crypto map M 5 ipsec-isakmp: the peer nowhere has no address, for want of `ip host nowhere`"
    ]


def test_an_entrys_own_lines():
    made = of(
        WHOLE + "crypto map M 5\n set security-association lifetime seconds 300\n"
        " set security-association lifetime kilobytes 5000\n set pfs group5\n set transform-set T S\n"
        "crypto ipsec security-association lifetime seconds 400\ncrypto ipsec security-association idle-time 90\n"
        "crypto isakmp keepalive 30\ncrypto isakmp nat keepalive 20\ncrypto map M client-accounting-list AAA\n"
        "crypto ipsec transform-set S ah-sha-hmac\n mode transport\n"
        "crypto dynamic-map D 7\n set transform-set S\ncrypto dynamic-map D 3\n set transform-set T\n"
        "crypto map M 9 ipsec-isakmp dynamic D discover\ncrypto map N 1 ipsec-isakmp\n"
    )
    settings, policy = made.settings, made.settings.policy
    assert (settings.dpd_s, settings.keepalive_s, settings.idle_s) == (30.0, 20.0, 90.0)
    assert (policy.lifetime_s, policy.lifetime_kb, policy.crypto_map.accounting_list) == (400, 4608000, "AAA")
    assert policy.crypto_map.entries == (
        IsakmpEntry(5, "101", ("10.0.0.9",), ("T", "S"), 300, 5000, "modp1536"),
        DynamicReference(9, "D", True),
    )
    assert [one.sequence for one in policy.dynamic_maps["D"]] == [3, 7]
    assert (policy.transform_sets["S"].ah, policy.transform_sets["S"].mode) == ("sha1", "transport")


KEYS = "crypto ipsec transform-set H ah-md5-hmac esp-des\ncrypto map M 6 ipsec-manual\n set peer 10.0.0.9\n match address 101\n"


def test_keys_by_hand_that_do_not_fit_are_left_out_and_never_told():
    made = of(
        WHOLE + KEYS + " set transform-set H\n set session-key inbound ah 256 98765432109876549876543210987654\n"
        " set session-key outbound ah 257 badbadbad\n set session-key inbound esp 300 cipher 0123456789012345 authenticator aa\n"
    )
    entry = made.settings.policy.crypto_map.entries[1]
    assert isinstance(entry, ManualEntry)
    assert [(key.direction, key.protocol, key.spi) for key in entry.keys] == [("inbound", "esp", 300), ("inbound", "ah", 256)]
    (lack,) = [lack for lack in made.lacks if "too short" in lack]
    assert "outbound ah 257" in lack
    assert "badbad" not in lack


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("no crypto isakmp policy 1", "no `crypto isakmp policy` with pre-shared keys"),
        ("crypto isakmp policy 1\n authentication rsa-sig", "no `crypto isakmp policy` with pre-shared keys"),
        ("no crypto isakmp key k address 10.0.0.0 255.0.0.0", "no `crypto isakmp key` for an address"),
        ("crypto map M 5\n no set peer 10.0.0.9", "crypto map M 5 is disabled: it lacks a peer"),
        ("no access-list 101", "crypto map M 5 is disabled: it lacks a valid access list"),
        ("no crypto ipsec transform-set T", "crypto map M 5 is disabled: it lacks a transform set"),
        ("access-list 101 permit tcp any any established", "matches nothing"),
        ("crypto ipsec transform-set T esp-3des esp-des", "two transforms for encryption"),
        ("crypto map M 2 ipsec-isakmp dynamic D", "names dynamic crypto map D, which does not exist"),
        ("crypto map M 2 ipsec-isakmp dynamic D", "is dynamic and stands before 5"),
        ("crypto map M 8 ipsec-isakmp profile P", "protects L2TP tunnels"),
        ("crypto map M 5\n set security-association level per-host", "`set security-association level per-host` is not followed"),
        ("crypto isakmp identity hostname", "`crypto isakmp identity hostname` is not followed"),
        ("interface fa0/1\n crypto map M", "the crypto map on FastEthernet0/1 is not followed"),
    ],
)
def test_what_does_nothing_is_told(more, told):
    assert [lack for lack in of(WHOLE + more).lacks if told in lack]


def test_spi_matching_hides_that_udp_encapsulation_is_off_and_old_releases_have_neither():
    def method(text, features=NOW):
        configuration = Configuration()
        load(configuration, text.splitlines(), features)
        return transparency(configuration.tree, features).method

    prefix = "crypto ipsec nat-transparency"
    assert method("") == "udp-encaps"
    assert method(f"no {prefix} udp-encaps\n{prefix} spi-matching") == "spi-matching"
    assert method(f"no {prefix} udp-encaps\n{prefix} spi-matching\nno {prefix} spi-matching") == "none"
    assert method(f"{prefix} spi-matching\nno {prefix} udp-encaps") == "spi-matching"
    assert method("", features_of(parse("12.2(11)T"))) == "none"
    assert method("", features_of(parse("12.2(13)T"))) == "udp-encaps"
