"""What configurations mean for LNS and LAC by VPDN groups, line by line, and that whatever is typed means something."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from live import example
from terminal import Terminal

from harness.model.ios_releases import features_of, parse
from harness.virtual import settings as virtual
from harness.virtual.ios.configuration import Configuration
from harness.virtual.ios.configure import load
from harness.virtual.ios.meaning_router import differences, meant, needs_rebuild
from harness.virtual.ios.router import IosRouter
from harness.virtual.ios.state import State
from harness.virtual.vpdn.crypto import TransformSet
from harness.virtual.vpdn.groups import Security, Target

BASE = virtual.load("demux")
FEATURES = features_of(parse("12.4(1)"))
LNS = [*example("l2tp-security-lns"), "hostname LNS", "ip local pool P 172.16.1.10 172.16.1.20", "interface Virtual-Template1",
       "peer default ip address pool P", "ppp authentication chap"]  # fmt: skip
LAC = [*example("l2tp-security-lac"), "hostname LAC"]
EXAMPLES = {"demux": example("nat-demux-lns"), "lns": LNS, "lac": LAC, "voluntary": example("l2tp-security-voluntary")}


def meaning(lines, *more):
    configuration = Configuration()
    assert load(configuration, [*lines, *more], FEATURES) == []
    return meant(configuration.tree, BASE)


def test_the_examples_lns():
    found = meaning(LNS)
    assert found.lacks == ()
    vpdn = found.settings.vpdn
    (group,) = vpdn.accept
    assert (group.protocol, group.terminate_from, group.local_name, group.pool) == ("any", "LAC", "LNS", "P")
    assert (group.security, group.renegotiation, group.password.reveal()) == (Security("l2tp", True), "on-mismatch", "cisco")
    assert group.authentication == ("chap-md5",)
    (profile,) = vpdn.crypto.active
    assert profile.sets == (TransformSet("esp-des-sha-transport", "des", "sha1", "transport"),)
    (proposal,) = found.settings.personality.ike_proposals
    assert (proposal.encryption, proposal.hash, proposal.group) == ("des", "sha1", "modp768")
    assert {network: key.reveal() for network, key in vpdn.crypto.keys.items()} == {"10.0.0.12/32": "cisco"}
    assert vpdn.pools == {"P": ("172.16.1.10", "172.16.1.20")}


@pytest.mark.parametrize(("line", "seconds"), [("keepalive 20", 20.0), ("no keepalive", None), ("no shutdown", BASE.echo)])
def test_the_templates_keepalive_asks_whether_a_link_lives(line, seconds):
    assert meaning(LNS, "interface Virtual-Template1", line).settings.personality.echo == seconds


def test_the_examples_lac():
    found = meaning(LAC)
    assert found.lacks == ()
    (group,) = found.settings.vpdn.request
    assert (group.domains, group.targets, group.local_name) == (("cisco.com",), (Target("10.0.0.13"),), "LAC")
    assert (group.password.reveal(), group.security) == ("cisco", Security("l2tp", True))


@pytest.mark.parametrize(
    ("lines", "name", "value"),
    [
        (("lcp renegotiation always",), "renegotiation", "always"),
        (("no lcp renegotiation",), "renegotiation", "never"),
        (("ip pmtu",), "pmtu", True),
        (("ip dfbit set",), "df_bit", "set"),
        (("no l2tp tunnel authentication",), "tunnel_authentication", False),
        (("local name GATE",), "local_name", "GATE"),
        (("no terminate-from hostname",), "terminate_from", None),
        (("l2tp security crypto-profile l2tp",), "security", Security("l2tp")),
        (("no l2tp security crypto-profile",), "security", None),
        (("accept-dialin", "protocol l2tp"), "protocol", "l2tp"),
        (("interface Virtual-Template1", "ppp authentication ms-chap-v2 pap"), "authentication", ("mschapv2", "pap")),
    ],
)
def test_a_line_of_the_group(lines, name, value):
    assert getattr(meaning(LNS, "vpdn-group 1", *lines).settings.vpdn.accept[0], name) == value
    assert getattr(meaning(LNS).settings.vpdn.accept[0], name) != value


def test_of_two_passwords_the_groups_own_counts():
    (group,) = meaning(LNS, "vpdn-group 1", "l2tp tunnel password hush").settings.vpdn.accept
    assert group.password.reveal() == "hush"


def test_lines_of_the_lac():
    lines = ("vpdn-group 1", "initiate-to ip 10.0.0.14 limit 5 priority 2", "l2tp tunnel timeout no-session 60", "ip pmtu")
    (group,) = meaning(LAC, *lines, "request-dialin", "domain other.net").settings.vpdn.request
    assert group.targets == (Target("10.0.0.13"), Target("10.0.0.14", 5, 2))
    assert (group.no_session_s, group.pmtu, set(group.domains)) == (60.0, True, {"cisco.com", "other.net"})


def test_lifetimes_and_sets_of_a_profile():
    lines = ("crypto ipsec security-association lifetime seconds 600", "crypto ipsec transform-set T esp-aes 256 esp-md5-hmac",
             "crypto map l2tpsec 10 ipsec-isakmp profile l2tp", "set transform-set T esp-des-sha-transport NONE",
             "set security-association lifetime kilobytes 2560", "set pfs group2")  # fmt: skip
    crypto = meaning(LNS, *lines).settings.vpdn.crypto
    (profile,) = crypto.active
    assert crypto.lifetimes(profile) == (600, 2560)
    assert (profile.pfs, [one.mode for one in profile.sets]) == ("modp1024", ["tunnel", "transport"])


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (("interface FastEthernet0/0", "no crypto map"), "no interface has a crypto map: nothing is protected"),
        (("no vpdn enable",), "no `vpdn enable`"),
        (("vpdn-group 1", "accept-dialin", "protocol pptp"), "vpdn-group 1 does not speak L2TP"),
        (("no interface Virtual-Template1",), "vpdn-group 1 has no virtual template, or its interface does not exist"),
        (("no ip local pool P",), "the pool P of Virtual-Template1 does not exist"),
        (("no crypto isakmp policy 1",), "no key for an address, or no policy with pre-shared keys: no SA can come up"),
    ],
)
def test_what_is_missing_is_said(lines, said):
    assert said in meaning(LNS, *lines).lacks


@pytest.mark.parametrize(
    ("lines", "anew"),
    [
        (("vpdn-group 1", "lcp renegotiation always"), False),
        (("crypto map l2tpsec 10 ipsec-isakmp profile l2tp", "set security-association lifetime seconds 120"), False),
        (("interface FastEthernet0/0", "no crypto map"), False),
        (("ip local pool Q 10.9.9.1",), False),
        (("ip local pool P 172.16.1.10 172.16.1.30",), True),
        (("interface FastEthernet0/0", "ip address 10.0.0.14 255.255.255.0"), True),
    ],
)
def test_what_can_only_be_set_before_the_start(lines, anew):
    old, new = meaning(LNS).settings, meaning(LNS, *lines).settings
    assert differences(old, new)
    assert needs_rebuild(old, new) is anew


def test_under_one_policy_what_is_not_heeded_is_said():
    found = meaning(example("nat-demux-lns"), "crypto isakmp key k address 0.0.0.0", "vpdn-group 1", "terminate-from hostname LAC")
    assert found.lacks == ("vpdn-group 1: terminate-from: only beside a crypto map with profiles, or none",)


def test_a_group_that_asks_for_a_profile_is_not_served_by_a_map_without():  # SEC-35
    found = meaning(example("nat-demux-lns"), "vpdn-group 1", "l2tp security crypto-profile none")
    assert found.settings.vpdn.crypto.active == ()
    assert "no crypto map on an interface has the profile none: its vpdn-group has no tunnels" in found.lacks


def test_a_pool_that_ends_before_it_begins_is_said():
    found = meaning(example("nat-demux-lns"), "ip local pool POOL 20.0.0.110 20.0.0.100")
    assert found.settings is None
    assert found.lacks


SHOWS = ("show crypto map", "show crypto dynamic-map", "show crypto ipsec sa", "show crypto isakmp sa",
         "show crypto engine connections active", "show vpdn", "show l2tp tunnel", "show ip local pool")  # fmt: skip


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(name=st.sampled_from(sorted(EXAMPLES)), other=st.sampled_from(sorted(EXAMPLES)), seed=st.integers(0, 2**32))
def test_any_lines_of_the_examples_in_any_order_can_be_typed_and_shown(name, other, seed):
    """Nothing raises, and the router that came of it shows itself."""
    chance = random.Random(seed)
    lines = [line for line in (*EXAMPLES[name], *EXAMPLES[other]) if chance.random() < 0.85]
    if chance.random() < 0.3:
        chance.shuffle(lines)
    terminal = Terminal(State(startup=None), level=15)
    router = IosRouter(terminal.state, chance.randbytes)
    terminal.run("configure terminal")
    for line in lines:
        terminal.type(line.rstrip() + "\r")
    terminal.type("\x1a")
    assert (router.meaning.settings is None) is not router.up
    for command in SHOWS:
        assert terminal.run(command), command


RIP = ("interface Loopback0", "ip address 172.16.1.1 255.255.255.255", "interface Virtual-Template1", "ip unnumbered Loopback0",
       "interface FastEthernet0/1", "ip address 192.0.2.1 255.255.255.0", "router rip", "version 2", "network 172.16.0.0",
       "network 192.0.2.0")  # fmt: skip


@pytest.mark.parametrize(
    ("more", "told", "passive"),
    [
        ((), ["172.16.1.1/32", "192.0.2.0/24"], False),
        (("no network 192.0.2.0",), ["172.16.1.1/32"], False),
        (("interface FastEthernet0/1", "shutdown"), ["172.16.1.1/32"], False),
        (("passive-interface Virtual-Template1",), ["172.16.1.1/32", "192.0.2.0/24"], True),
        (("passive-interface default",), ["172.16.1.1/32", "192.0.2.0/24"], True),
    ],
)
def test_rip_on_the_callers_links(more, told, passive):
    found = meaning(LNS, *RIP, *more).rip
    assert (found.address, [str(one) for one in found.networks], found.passive) == ("172.16.1.1", told, passive)


def test_without_this_there_is_no_rip():
    assert meaning(LNS).rip is None
    assert meaning(LNS, *RIP, "no network 172.16.0.0").rip is None
    assert meaning(LNS, *RIP, "no router rip").rip is None
    old = meaning(LNS, *RIP, "no version")
    assert (old.rip, [one for one in old.lacks if "rip" in one]) == (None, ["router rip: version 2 alone is served"])
