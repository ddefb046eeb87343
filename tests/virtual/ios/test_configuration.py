"""What lines make of a configuration: the documents' examples, and each way in which lines replace each other."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.model.ios_releases import features_of, parse
from harness.virtual.ios.configuration import Configuration
from harness.virtual.ios.configure import ConfigMode, load

EXAMPLES = sorted((Path(__file__).parent / "configurations").glob("*.cfg"))
NOW = features_of(parse("15.1(4)M"))
CANONICAL = {"crypto map STATIC_MAP 5": "crypto map STATIC_MAP 5 ipsec-isakmp"}


def loaded(text, features=NOW):
    configuration = Configuration()
    troubles = load(configuration, text.splitlines(), features)
    return configuration, troubles


def shown(*lines, features=NOW):
    """The configuration's lines after these, without separators."""
    configuration, troubles = loaded("\n".join(lines), features)
    assert troubles == []
    return [line for line in configuration.text().splitlines() if line not in ("!", "end")]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_of_the_documents_loads_and_is_all_there(path):
    text = path.read_text()
    configuration, troubles = loaded(text)
    assert troubles == []
    there = [line.strip() for line in configuration.text().splitlines()]
    for line in filter(None, map(str.strip, text.splitlines())):
        if not line.startswith("!"):
            assert CANONICAL.get(line, line) in there
    again, troubles = loaded(configuration.text())
    assert troubles == []
    assert again.text() == configuration.text()


def test_the_lines_of_the_voluntary_example_stand_in_their_sections():
    configuration, _ = loaded((Path(__file__).parent / "configurations" / "l2tp-security-voluntary.cfg").read_text())
    group = configuration.tree.first("vpdn-group dial-in")
    assert [one.line for one in group.below] == [
        "accept-dialin", "l2tp security crypto-profile l2tp", "no l2tp tunnel authentication", "ip pmtu",
    ]  # fmt: skip
    assert [one.line for one in group.first("accept-dialin").below] == ["protocol l2tp", "virtual-template 1"]
    assert configuration.tree.first("crypto ipsec transform-set").has("mode transport")
    assert configuration.tree.first("crypto map l2tpsec").value("set security-association lifetime seconds") == "120"


def test_an_address_of_the_document_that_is_none():
    _, troubles = loaded("interface fa0/0\n ip address 209.265.200.231 255.255.255.0")
    ((caret, *_),) = [one.said for one in troubles]
    assert caret.index("^") == len(" ip address ")


def test_an_older_release_has_no_demux():
    lines = "crypto dynamic-map D 10\n set nat demux\n set transform-set T"
    configuration, troubles = loaded(lines, features_of(parse("12.3(11)T3")))
    assert [one.line for one in troubles] == [" set nat demux"]
    assert not configuration.tree.first("crypto dynamic-map D 10").has("set nat demux")
    assert loaded(lines, features_of(parse("12.3(11)T4")))[1] == []


@pytest.mark.parametrize(
    ("lines", "left"),
    [
        (["hostname A", "hostname B"], ["hostname B"]),
        (["hostname A", "no hostname"], []),
        (["ip route 1.0.0.0 255.0.0.0 2.2.2.2", "ip route 1.0.0.0 255.0.0.0 3.3.3.3"],
         ["ip route 1.0.0.0 255.0.0.0 2.2.2.2", "ip route 1.0.0.0 255.0.0.0 3.3.3.3"]),
        (["ip route 1.0.0.0 255.0.0.0 2.2.2.2", "ip route 1.0.0.0 255.0.0.0 3.3.3.3", "no ip route 1.0.0.0 255.0.0.0 2.2.2.2"],
         ["ip route 1.0.0.0 255.0.0.0 3.3.3.3"]),
        (["access-list 10 permit any", "access-list 11 deny any", "no access-list 10"], ["access-list 11 deny any"]),
        (["ip nat service ras", "ip nat service H225", "no ip nat service ras"], ["ip nat service H225"]),  # whole without a value
        (["crypto isakmp policy 20", "encr aes 256", "crypto isakmp policy 5", "group 2", "group 1", "hash md5", "no hash"],
         ["crypto isakmp policy 5", "crypto isakmp policy 20", " encr aes 256"]),
        (["crypto map M 20 ipsec-isakmp", "set peer 1.1.1.1", "set peer 2.2.2.2", "no set peer 1.1.1.1",
          "crypto map M 3 ipsec-isakmp"],
         ["crypto map M 3 ipsec-isakmp", "crypto map M 20 ipsec-isakmp", " set peer 2.2.2.2"]),
        (["crypto map M 20 ipsec-isakmp", "set nat demux", "crypto map M 20", "set pfs group2"],
         ["crypto map M 20 ipsec-isakmp", " set nat demux", " set pfs group2"]),
        (["crypto map M 20 ipsec-isakmp", "set nat demux", "exit", "no crypto map M 20"], []),
        (["crypto map M 1 ipsec-isakmp", "crypto map M 2 ipsec-isakmp", "crypto map N 1 ipsec-isakmp", "no crypto map M"],
         ["crypto map N 1 ipsec-isakmp"]),
        (["crypto isakmp key one address 1.1.1.1", "crypto isakmp key two address 1.1.1.1"],
         ["crypto isakmp key two address 1.1.1.1"]),
        (["vpdn-group 1", "no l2tp tunnel authentication", "l2tp tunnel authentication"], ["vpdn-group 1"]),
        (["vpdn-group 1", "accept-dialin", "protocol l2tp", "exit", "no accept-dialin"], ["vpdn-group 1"]),
        (["no vpdn logging"], ["no vpdn logging"]),
        (["no vpdn logging", "default vpdn logging"], []),
        (["service password-encryption", "no service password-encryption"], ["no service password-encryption"]),
        (["service timestamps log uptime", "no service timestamps log"], ["no service timestamps log"]),
        (["interface fa0/0", "ip address 1.1.1.1 255.0.0.0", "ip address 2.2.2.2 255.0.0.0",
          "ip address 3.3.3.3 255.0.0.0 secondary",
          "shutdown", "no shutdown"],
         ["interface FastEthernet0/0", " ip address 2.2.2.2 255.0.0.0", " ip address 3.3.3.3 255.0.0.0 secondary"]),
        (["interface fa0/0", "ip address 1.1.1.1 255.0.0.0", "no ip address"], ["interface FastEthernet0/0"]),
        (["interface fa0/0", "crypto map M", "no crypto map"], ["interface FastEthernet0/0"]),
        (["interface Virtual-Template1", "exit", "no interface Virtual-Template1"], []),
        (["interface fa0/0", "ip address 1.1.1.1 255.0.0.0", "shutdown", "interface fa0/1", "crypto map M",
          "default interface fa0/0"],
         ["interface FastEthernet0/0", "interface FastEthernet0/1", " crypto map M"]),
        (["interface fa0/0", "shutdown", "default shutdown"], ["interface FastEthernet0/0"]),
        (["interface Loopback0", "ip address 1.1.1.1 255.0.0.0", "default interface lo0"], ["interface Loopback0"]),
        (["hostname A", "default interface fa0/7"], ["hostname A"]),
        (["line vty 0 4", "login local", "default line vty 0"], ["line vty 0 4"]),
        (["line con 0", "password x", "default line con 0"], ["line con 0"]),
        (["vpdn-group 1", "accept-dialin", "default vpdn-group 1"], []),
        (["crypto map M 1 ipsec-isakmp", "set peer 1.1.1.1", "default crypto map M 1"], []),
        (["crypto ipsec security-association lifetime seconds 600", "crypto ipsec security-association lifetime seconds 3600"], []),
        (["username a privilege 15", "username a password cisco"], ["username a privilege 15 password 0 cisco"]),
        (["username a password cisco", "username a privilege 15"], ["username a privilege 15 password 0 cisco"]),
        (["username a password cisco", "username b password c", "no username a"], ["username b password 0 c"]),
        (["ip access-list extended L", "permit udp host 1.1.1.1 eq 1701 any", "deny ip any any", "no deny ip any any"],
         ["ip access-list extended L", " permit udp host 1.1.1.1 eq 1701 any"]),
    ],
)  # fmt: skip
def test_lines_replace_each_other(lines, left):
    assert shown(*lines) == left


U, S = "crypto ipsec nat-transparency udp-encaps", "crypto ipsec nat-transparency spi-matching"


@pytest.mark.parametrize(
    ("lines", "left"),
    [
        ([S], [S]),
        ([S, U], []),
        ([f"no {U}"], [f"no {U}"]),
        ([S, f"no {S}"], []),
        ([f"no {U}", f"no {S}"], [f"no {U}"]),
        ([S, f"no {U}", f"no {S}"], [f"no {U}"]),  # the order in which the document disables both
        ([f"no {U}", S], [S]),
        ([f"no {U}", S, U], []),
        ([f"no {U}", f"default {U}"], []),
        ([S, f"no {U}", f"no {S}", f"default {U}"], []),
        ([S, f"default {S}"], []),
    ],
)
def test_the_two_ways_through_nat_exclude_each_other(lines, left):
    assert shown(*lines) == left


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["crypto map M 1 ipsec-isakmp", "crypto map M 1 ipsec-manual"], "type of an existing crypto map"),
        (["crypto map M 1 ipsec-isakmp", "crypto map M 1 ipsec-isakmp dynamic D"], "Attempt to change dynamic map tag"),
        (["crypto map M 1 ipsec-isakmp profile P", "crypto map M 2 ipsec-isakmp profile P"], "Profile P is already used"),
        (["interface fa0/0", "exit", "no interface fa0/0"], "Removal of physical interfaces"),
    ],
)
def test_what_is_refused_changes_nothing(lines, said):
    configuration, troubles = loaded("\n".join(lines))
    assert [one.number for one in troubles] == [len(lines)]
    assert said in " ".join(troubles[0].said)
    assert configuration.text() == loaded(lines[0])[0].text()


def test_an_interface_that_is_set_to_its_defaults_says_so_and_is_left():
    configuration, _ = loaded("interface fa0/1\n ip address 1.1.1.1 255.0.0.0\n crypto map M")
    mode = ConfigMode(configuration, NOW)
    mode.line("interface fa0/1")
    assert mode.line("default interface fa0/1").said == ("Interface FastEthernet0/1 set to default configuration",)
    assert mode.prompt == "(config)#"
    assert configuration.tree.first("interface FastEthernet0/1").below == ()
    assert mode.line("default line con 0").said == mode.line("default vpdn-group 1").said == ()


def test_a_type_can_be_changed_by_deleting_the_entry():
    lines = ["crypto map M 1 ipsec-isakmp", "no crypto map M 1", "crypto map M 1 ipsec-manual"]
    assert shown(*lines) == ["crypto map M 1 ipsec-manual"]


def test_a_listener_hears_of_each_change_and_of_nothing_else():
    heard = []
    configuration = Configuration()
    configuration.listeners.append(lambda old, new: heard.append((old.value("hostname"), new.value("hostname"))))
    load(configuration, ["hostname A", "hostname A", "nonsense", "no vpdn enable", "hostname B"], NOW)
    assert heard == [(None, "A"), ("A", "B")]


def test_accessors():
    tree = loaded("interface fa0/0\n ip address 1.1.1.1 255.0.0.0\n crypto map M\ninterface fa0/1\n shutdown")[0].tree
    assert [one.words[1] for one in tree.find("interface")] == ["FastEthernet0/0", "FastEthernet0/1"]
    first = tree.first("interface FastEthernet0/0")
    assert first.value("ip address") == "1.1.1.1 255.0.0.0"
    assert first.value("shutdown") is None
    assert tree.first("interface FastEthernet0/1").value("shutdown") == ""
    assert tree.find("inter") == ()


def test_a_section_that_another_has_removed_is_left():
    configuration = Configuration()
    one, other = ConfigMode(configuration, NOW), ConfigMode(configuration, NOW)
    one.line("vpdn-group 1")
    one.line("accept-dialin")
    other.line("no vpdn-group 1")
    assert one.prompt == "(config)#"
    assert one.line("protocol l2tp").refused
    assert configuration.tree.below == ()


LINES = [
    line.strip()
    for path in EXAMPLES
    for line in path.read_text().splitlines()
    if line.strip() and not line.startswith("!")
]  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(LINES), st.sampled_from(["", "", "", "no ", "default "])), max_size=40))
def test_a_running_configuration_gives_itself(lines):
    configuration = Configuration()
    load(configuration, [before + line for line, before in lines], NOW)
    text = configuration.text()
    again, troubles = loaded(text)
    assert troubles == []
    assert again.text() == text
