"""What AAA's lines mean, one by one, and what is said of those that cannot work."""

from __future__ import annotations

import pytest
from live import example

from harness.model.ios_releases import features_of, parse
from harness.virtual import settings as virtual
from harness.virtual.aaa.settings import AccountingList, Lists
from harness.virtual.ios.configuration import Configuration
from harness.virtual.ios.configure import load
from harness.virtual.ios.meaning_router import meant
from harness.wire.radius import Server

BASE = virtual.load("demux")
FEATURES = features_of(parse("12.4(1)"))
LNS = [*example("l2tp-security-lns"), "hostname LNS", "ip local pool P 172.16.1.10 172.16.1.20", "interface Virtual-Template1",
       "peer default ip address pool P", "ppp authentication chap", "aaa new-model"]  # fmt: skip
DEMUX = example("nat-demux-lns")
ONE, TWO = "radius-server host 10.0.0.20 key one", "radius-server host 10.0.0.21 auth-port 1812 acct-port 1813 timeout 9 key 0 two"


def meaning(*more, lines=LNS):
    configuration = Configuration()
    assert load(configuration, [*lines, *more], FEATURES) == []
    return meant(configuration.tree, BASE)


def aaa(*more, lines=LNS):
    found = meaning(*more, lines=lines)
    assert found.lacks == ()
    return found.settings.aaa


def lacks(*more):
    return [lack for lack in meaning(*more).lacks if "crypto" not in lack or "accounting list" in lack]


def test_servers_and_their_defaults():
    """Ports 1645 and 1646, 5 s, 3 retransmissions: so four sendings."""
    assert aaa(ONE).groups["radius"] == (Server("10.0.0.20", b"one", 1645, 1646, 5.0, 4, 0.0),)
    assert aaa(ONE, TWO).groups["radius"][1] == Server("10.0.0.21", b"two", 1812, 1813, 9.0, 4, 0.0)
    lines = ("radius-server timeout 2", "radius-server retransmit 1", "radius-server deadtime 10", "radius-server key shared key")
    assert aaa(*lines, "radius-server host 10.0.0.22").groups["radius"] == (
        Server("10.0.0.22", b"shared key", 1645, 1646, 2.0, 2, 600.0),
    )
    assert aaa(*lines, TWO, "radius-server host 10.0.0.21 retransmit 0").groups["radius"][0].tries == 1
    assert aaa("radius-server host 10.0.0.20 key 7 0822455D0A16").groups["radius"][0].secret == b"cisco"


def test_a_server_without_a_key_cannot_be_asked():
    found = meaning("radius-server host 10.0.0.20")
    assert found.settings.aaa.groups["radius"] == ()
    assert "radius-server host 10.0.0.20 has no key that can be read: it cannot be asked" in found.lacks


def test_port_0_is_for_nothing():
    found = aaa("radius-server host 10.0.0.20 auth-port 0 key one", "radius-server host 10.0.0.21 acct-port 0 key two")
    assert [server.address for server in found.judges("radius")] == ["10.0.0.21"]
    assert [server.address for server in found.books("radius")] == ["10.0.0.20"]


def test_no_key_shows():
    assert "one" not in repr(aaa(ONE).groups["radius"])


def test_groups_of_servers():
    group = ("aaa group server radius G", "server 10.0.0.21 auth-port 1812 acct-port 1813", "server 10.0.0.20")
    found = aaa(ONE, TWO, *group)
    assert [server.address for server in found.groups["G"]] == ["10.0.0.21", "10.0.0.20"]
    assert [server.address for server in found.judges("G", "radius")] == ["10.0.0.21", "10.0.0.20"]
    assert lacks(ONE, "aaa group server radius G", "server 10.0.0.20 auth-port 1812") == [
        "aaa group server radius G: no radius-server host 10.0.0.20 has these ports and a key"
    ]


@pytest.mark.parametrize(
    ("line", "methods"),
    [
        ("group radius", ("group radius",)),
        ("group radius local", ("group radius", "local")),
        ("if-needed radius local-case none", ("group radius", "local", "none")),
        ("local group G group radius", ("local", "group G", "group radius")),
    ],
)
def test_methods(line, methods):
    found = aaa(ONE, "aaa group server radius G", "server 10.0.0.20", f"aaa authentication ppp default {line}")
    assert found.methods("default") == methods
    assert found.methods("other") is None


def test_without_a_default_list_the_routers_own_users_are_asked():
    assert aaa().methods("default") == ("local",)


def test_a_method_that_is_not_served():
    assert lacks(ONE, "aaa authentication ppp default krb5 group radius") == [
        "aaa authentication ppp default: the method krb5 is not served"
    ]
    assert lacks("aaa authentication ppp default group tacacs+ local") == [
        "aaa authentication ppp default: group tacacs+ has no server that can be asked"
    ]


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("start-stop group radius", AccountingList("start-stop", ("radius",))),
        ("wait-start radius", AccountingList("start-stop", ("radius",))),
        ("stop-only group G group radius", AccountingList("stop-only", ("G", "radius"))),
        ("none", AccountingList("none", ())),
    ],
)
def test_accounting(line, wanted):
    found = aaa(ONE, "aaa group server radius G", "server 10.0.0.20", f"aaa accounting network default {line}")
    assert found.accounting == {"default": wanted}


def test_accounting_that_cannot_work():
    assert lacks("aaa accounting network default start-stop group radius") == [
        "aaa accounting network default: no server that can be told"
    ]
    assert lacks(ONE, "aaa accounting network default start-stop broadcast group radius") == [
        "aaa accounting network default: broadcast is not served; one server of the first group is told"
    ]
    assert lacks(ONE, "aaa accounting network default sometimes") == ["aaa accounting network default: sometimes is not served"]


@pytest.mark.parametrize(
    ("line", "seconds"), [("periodic 2", 120.0), ("newinfo periodic 1", 60.0), ("newinfo", None)],
)  # fmt: skip
def test_updates(line, seconds):
    assert aaa(f"aaa accounting update {line}").update_s == seconds


def test_a_server_may_give_addresses_where_it_authorises():
    assert not aaa(ONE).framed_address
    assert aaa(ONE, "aaa authorization network default group radius").framed_address
    assert not aaa(ONE, "aaa authorization network default local").framed_address


@pytest.mark.parametrize(
    ("line", "lists", "methods"),
    [
        ("ppp authentication chap", Lists(), ("chap-md5",)),
        ("ppp authentication ms-chap-v2 pap callin DIALIN", Lists("DIALIN"), ("mschapv2", "pap")),
        ("ppp authentication eap chap MINE", Lists("MINE"), ("chap-md5",)),
    ],
)
def test_the_lists_of_a_template(line, lists, methods):
    (group,) = meaning("interface Virtual-Template1", line).settings.vpdn.accept
    assert (group.lists, group.authentication) == (lists, methods)
    counted = meaning("interface Virtual-Template1", line, "ppp accounting COUNT").settings.vpdn.accept[0].lists
    assert counted == Lists(lists.authentication, "COUNT")
    found = meaning("interface Virtual-Template1", line, "ppp accounting COUNT", lines=DEMUX).settings
    assert (found.aaa.link_lists, found.personality.authentication) == (counted, methods)


def test_the_lists_of_callers():
    vpdn = meaning(lines=[*example("l2tp-security-lac"), "aaa new-model", "interface Serial1", "ppp authentication pap LINES"])
    assert (vpdn.settings.vpdn.caller_authentication, vpdn.settings.vpdn.caller_lists) == (("pap",), Lists("LINES"))
    bare = meaning(lines=["vpdn enable", "interface FastEthernet0/0", "ip address 10.0.0.12 255.255.255.0", "vpdn-group 1",
                          "request-dialin", "protocol l2tp", "domain cisco.com", "exit", "initiate-to ip 10.0.0.13"])  # fmt: skip
    assert (bare.settings.vpdn.caller_authentication, bare.settings.vpdn.caller_lists) == (("chap-md5",), Lists())


@pytest.mark.parametrize("spelling", ["client-accounting-list", "client accounting list"])
def test_the_list_of_a_crypto_map(spelling):
    """SEC-85. Only that of the map on the interface."""
    account = "aaa accounting network FLOWS start-stop group radius"
    assert aaa(ONE, account, f"crypto map l2tpsec {spelling} FLOWS").flows_list == "FLOWS"
    assert aaa(ONE, account, f"crypto map other {spelling} FLOWS").flows_list is None
    assert aaa(ONE, account).flows_list is None
    assert lacks(ONE, f"crypto map l2tpsec {spelling} NONE") == ["the crypto map's client accounting list NONE does not exist"]


def test_one_spelling_takes_the_others_place():
    configuration = Configuration()
    lines = ["crypto map m client-accounting-list A", "crypto map m client accounting list B"]
    assert load(configuration, lines, FEATURES) == []
    assert [entry.line for entry in configuration.tree.find("crypto map m client")] == ["crypto map m client accounting list B"]
    assert load(configuration, ["no crypto map m client accounting list B"], FEATURES) == []
    assert configuration.tree.find("crypto map m client") == ()


def test_without_new_model_there_is_no_aaa():
    found = meaning("no aaa new-model", ONE, "aaa authentication ppp default group radius")
    assert found.settings.aaa is None
    assert any("without `aaa new-model`" in lack for lack in found.lacks)
    assert not any("new-model" in lack for lack in meaning("no aaa new-model").lacks)


def test_the_source_interface():
    """Servers are asked from where the peers are; another interface is said to be impossible."""
    assert lacks("ip radius source-interface FastEthernet0/0") == []
    assert lacks("ip radius source-interface Loopback0") == [
        "`ip radius source-interface Loopback0`: servers are asked from the interface towards the peers alone"
    ]


def test_the_document_of_demux_judges_locally():
    """Its example has `aaa new-model` and a default list that says so."""
    found = meaning(lines=DEMUX).settings.aaa
    assert (found.methods("default"), found.groups) == (("local",), {"radius": ()})
