"""Testbeds of routers, without a gateway that is judged: what they mean, and every mistake with its line and cure."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from test_schema import accepted
from testbed_text import TESTBEDS, line_of

from harness.errors import UsageError
from harness.model.router_lab import LAC, LNS, LNS_2, WIRE
from harness.scenario.foreseen import told_of_routers
from harness.testbed import check, check_any, examine

FILE = "bench-in-a-box-lac-lns.yaml"


def test_what_the_bench_s_own_means(bench, box):
    lab = check_any(bench(of=FILE))
    assert list(lab.by_role) == [LAC, LNS, LNS_2]
    lac = lab.by_role[LAC]
    assert (lac.wire.name, lac.wire.host, lac.callers) == ("FastEthernet0/0", WIRE[LAC], "FastEthernet0/1")
    assert {role: spec.wire.host for role, spec in lab.by_role.items()} == WIRE
    (wire,) = lab.captures
    assert (lab.card, wire.kind, wire.interface, wire.connection.device) == ("nic0", "tcpdump", "lac0", "wire")
    assert [one.host for one in lab.connections] == ["10.99.0.12", "10.99.0.13", "10.99.0.14"]
    assert {secret.reveal() for secret in lab.secrets} == {"natstorm-box"}
    assert lab.allowance.covers("172.16.1.1")
    assert lac.connection.enable is not None


def test_a_lab_may_do_without_a_second_lns(bench):
    whole = (TESTBEDS / FILE).read_text()
    device = whole[whole.index("  lns-2:   ") : whole.index("  wire:\n")]
    port = whole[whole.index("  lns-2:\n") :]
    assert list(check_any(bench((device, ""), (port, ""), of=FILE)).by_role) == [LAC, LNS]


def test_nor_does_it_need_a_lan_of_the_lns(bench):
    whole = (TESTBEDS / FILE).read_text()
    lan = next(line for line in whole.splitlines(keepends=True) if "192.0.2.1/24" in line)
    alone = check_any(bench((lan, ""), ("        - 192.168.77.0/24 ", "        - 172.16.1.1/32 "), of=FILE))
    with_it = check_any(bench(of=FILE))
    assert (alone.by_role[LNS].lan, with_it.by_role[LNS].lan.name) == (None, "GigabitEthernet0/2")


WIRE_PORT = "FastEthernet0/0: {type: ethernet, link: wire, ipv4: 10.0.0.12/24}"
LNS_PORT = "GigabitEthernet0/1: {type: ethernet, link: wire, ipv4: 10.0.0.13/24}"
CAPTURE = "capture: {source: tcpdump, device: wire, interface: lac0}"


@pytest.mark.parametrize(
    ("old", "new", "problem", "cure"),
    [
        ("ipv4: 10.0.0.13/24", "ipv4: 10.0.0.9/24", "lns is 10.0.0.9/24 there, and the documents", "`ipv4: 10.0.0.13/24`"),
        ("ipv4: 10.0.0.13/24", "ipv4: 10.0.0.13/16", "lns is 10.0.0.13/16 there", "`ipv4: 10.0.0.13/24`"),
        (WIRE_PORT, "FastEthernet0/0: {type: ethernet, link: wire}", "lac has no address on 'wire'", "`ipv4: 10.0.0.12/24`"),
        ("link: wire, ipv4: 10.0.0.13/24", "link: other, ipv4: 10.0.0.13/24", "lns is on link 'other', where the LAC is not",
         "`link: wire`"),
        ("FastEthernet0/1: {type: ethernet, link: access}", "FastEthernet0/1: {type: ethernet, link: elsewhere, ipv4: 10.1.0.1/24}",
         "no interface of the LAC is on the callers' link 'access'", "`link: access`"),
        ("FastEthernet0/1: {type: ethernet, link: access}", "FastEthernet0/1: {type: ethernet, link: access, ipv4: 10.1.0.1/24}",
         "callers come in there by PPPoE, and it needs no address", "remove it"),
        ("nic0: {type: ethernet, link: access}", "nic0: {type: ethernet, link: access, ipv4: 10.1.0.2/24}",
         "callers come by PPPoE, and their card has no address", "remove it"),
        ("nic0: {type: ethernet, link: access}", "a-name-that-no-card-has: {type: ethernet, link: access}",
         "a-name-that-no-card-has: ", ""),
        (LNS_PORT, LNS_PORT.replace("GigabitEthernet", "Gi"), "Gi0/1: an interface of a router is named in full here",
         "as in FastEthernet0/0"),
        (CAPTURE, "capture: {source: tcpdump, interface: lac0}", "which device captures is not said", "add `device:` there"),
        (CAPTURE, "capture: {source: tcpdump, device: wire}", "which interface of wire captures is not said", "add `interface:`"),
        (CAPTURE, "capture: {source: tcpdump, device: tap, interface: lac0}", "tap is no device that is reached", ""),
        (CAPTURE, "capture: {source: nic, interface: nic0}", "nic0 is lent to the callers", "another interface"),
        (CAPTURE, "capture: {source: gns3, device: wire, interface: lac0}", "there is no GNS3 project", ""),
        (f"    custom:\n      {CAPTURE}\n", "", "'custom' is missing", ""),
        ("- 172.16.1.0/24 ", "- 172.16.1.1/32 ", "172.16.1.0/24 (callers in their tunnels): nothing may be sent there", ""),
        ("ipv4: 192.0.2.1/24", "ipv4: 192.0.2.9/24", "lns is 192.0.2.9/24 there, and the documents", "`ipv4: 192.0.2.1/24`"),
        (", link: access, ipv4: 192.0.2.1/24", ", link: elsewhere, ipv4: 192.0.2.1/24", "lns has 2 interfaces", "it takes 1"),
        ("    allow:  ", "    management: [nic0]\n    allow:  ", "nic0 is the management interface", "name another interface"),
        ("    type: lns\n    os: ios", "    type: lns\n    os: linux", "there is no driver for a lns that is a 'linux'", "ios"),
        ("cli: {protocol: ssh, ip: 10.99.0.13}", "{}", "", ""),
        ("ip: 10.99.0.13}", "ip: 10.99.0.12}", "lns is reached where lac is", "each is a device of its own"),
        ("    allow:  ", "    lab: {provider: static}\n    allow:  ", "'lab' is not known", ""),
    ],
)  # fmt: skip
def test_a_mistake_has_its_line_and_its_cure(bench, old, new, problem, cure):
    file = bench((old, new), of=FILE)
    (one, *more) = examine(file).mistakes
    assert problem in one.problem
    assert cure in one.cure
    assert not more
    if old.startswith(("ipv4: ", "capture: ", "link: ", "nic0: ")):
        assert one.line == line_of(file, new)


def test_a_device_of_the_other_kind_is_a_mistake_and_one_is_named_where_it_is_meant(bench):
    file = bench(("  callers:\n    type: callers\n", "  clients:\n    type: clients\n"), of=FILE)
    assert not accepted(file)
    assert any("clients" in one.problem for one in examine(file).mistakes)


def test_who_needs_a_gateway_says_so(bench):
    file = bench(of=FILE)
    with pytest.raises(UsageError, match="a testbed of routers, without a gateway that is judged"):
        check(file)
    assert accepted(file)


def test_the_schema_has_all_kinds():
    kept = json.loads((TESTBEDS / "schema.json").read_text())
    assert [sorted(one["properties"]["devices"]["required"]) for one in kept["anyOf"]] == [
        ["clients", "gateway", "nat"], ["callers", "lac", "lns"], ["east-1", "hosts", "nat", "west-1"],
    ]  # fmt: skip


# --- endpoints about a NAT ---

ABOUT_A_NAT = "bench-in-a-box-esp.yaml"


def test_what_the_bench_with_a_nat_means(bench):
    lab = check_any(bench(of=ABOUT_A_NAT))
    assert list(lab.by_role) == ["nat", "west-1", "west-2", "west-3", "east-1", "east-2"]
    ports = {role: {use: (port.name, port.host) for use, port in spec.ports.items()} for role, spec in lab.by_role.items()}
    assert ports["nat"] == {"inside": ("FastEthernet0/0", "10.0.0.1"), "outside": ("FastEthernet0/1", "203.0.113.232")}
    assert ports["west-2"] == {"wire": ("FastEthernet0/1", "10.0.0.12"), "card": ("FastEthernet0/0", "10.1.2.1")}
    assert ports["east-1"]["card"] == ("GigabitEthernet0/1", "10.2.1.1")
    sources = {side.value: (one.kind, one.interface, one.connection.device) for side, one in lab.sources.items()}
    assert sources == {"inside": ("tcpdump", "nat-in", "wires"), "outside": ("tcpdump", "nat-out", "wires")}
    assert (lab.world, lab.card, lab.esp_null) == ("esp", "nic0", True)
    assert {side: card.name for side, card in lab.neighbours.items()} == {"inside": "nic1", "outside": "nic2"}
    assert [(card.name, card.line) for card in lab.cards] == [
        (name, line_of(bench(of=ABOUT_A_NAT), f"{name}: {{type")) for name in ("nic0", "nic1", "nic2")
    ]


def test_a_lab_may_do_with_one_endpoint_on_each_side(bench):
    whole = (TESTBEDS / ABOUT_A_NAT).read_text()
    pairs = []
    for first, last in (("  west-2:    ", "  east-1:\n    type"), ("  east-2:\n    type", "  wires:\n"),
                        ("  west-2:                       # which", "  east-1:\n    interfaces"),
                        ("  east-2:\n    interfaces", None)):  # fmt: skip
        begin = whole.index(first)
        pairs.append((whole[begin : None if last is None else whole.index(last, begin)], ""))
    assert list(check_any(bench(*pairs, of=ABOUT_A_NAT)).by_role) == ["nat", "west-1", "east-1"]


def test_a_lab_may_do_without_cards_on_the_nat_s_wires(bench):
    lines = (TESTBEDS / ABOUT_A_NAT).read_text().splitlines(keepends=True)
    more = [line for line in lines if line.lstrip().startswith(("nic1:", "nic2:", "- 203.0.113.0/24", "- 171.69.0.0/16"))]
    assert len(more) == 4
    lab = check_any(bench(*((line, "") for line in more), of=ABOUT_A_NAT))
    assert (lab.card, lab.neighbours) == ("nic0", {})
    said = [one.problem for one in examine(bench((more[3], ""), of=ABOUT_A_NAT)).mistakes]  # one card more is too few
    assert said == ["hosts has 2 interfaces"]


def test_all_that_is_lent_and_sent_is_told_before_a_run(bench):
    said = told_of_routers(check_any(bench(of=ABOUT_A_NAT)))
    for card in ("nic0", "nic1", "nic2"):
        assert sum(line.startswith(f"this machine: {card} moves into the namespace") for line in said) == 1
    assert sum("hosts straight on the NAT's outside answer ARP on nic2" in line for line in said) == 1
    assert not any("straight on the NAT's" in line for line in told_of_routers(check_any(bench(of=FILE))))


def test_the_cards_that_the_hardware_s_file_has_behind_a_mark_serve_without_it(bench, monkeypatch):
    for name in ("NATSTORM_LAB_PASSWORD", "NATSTORM_ENABLE"):
        monkeypatch.setenv(name, "x")
    name = "hardware-esp.yaml"
    assert check_any(bench(of=name)).neighbours == {}
    lines = [line for line in (TESTBEDS / name).read_text().splitlines() if line.lstrip().startswith(("# enp", "# - "))]
    assert len(lines) == 4
    lab = check_any(bench(*((line, line.replace("# ", "", 1)) for line in lines), of=name))
    assert {side: card.name for side, card in lab.neighbours.items()} == {"inside": "enp6s0", "outside": "enp7s0"}


def test_which_card_is_on_which_wire_is_told_by_its_link_and_not_by_its_place(bench):
    swapped = (("nic0: {type: ethernet, link: lans}", "nic0: {type: ethernet, link: outside}"),
               ("nic2: {type: ethernet, link: outside}", "nic2: {type: ethernet, link: lans}"))  # fmt: skip
    lab = check_any(bench(*swapped, of=ABOUT_A_NAT))
    assert (lab.card, {side: card.name for side, card in lab.neighbours.items()}) == ("nic2", {"inside": "nic1", "outside": "nic0"})


OUTSIDE_PORT = "FastEthernet0/1: {type: ethernet, link: outside, ipv4: 203.0.113.232/24}"
INSIDE_CAPTURE = "inside: {source: tcpdump, device: wires, interface: nat-in}"
OUTSIDE_CAPTURE = "outside: {source: tcpdump, device: wires, interface: nat-out}"


@pytest.mark.parametrize(
    ("old", "new", "problem", "cure"),
    [
        ("ipv4: 10.0.0.13/24", "ipv4: 10.0.0.99/24", "west-3 is 10.0.0.99/24 there, and the documents",
         "`ipv4: 10.0.0.13/24 or 10.1.3.1/24`"),
        ("link: lans, ipv4: 10.1.3.1/24", "link: lans, ipv4: 10.0.0.13/24", "west-3 has 10.0.0.13/24 at FastEthernet0/0 already",
         "`ipv4: 10.1.3.1/24`"),
        (", link: lans, ipv4: 10.2.1.1/24", ", link: lans", "east-1 has no address on 'lans'", "`ipv4: "),
        ("link: inside, ipv4: 10.0.0.12/24", "link: outside, ipv4: 10.0.0.12/24",
         "west-2 is on link 'outside', where the NAT's inside is not", "`link: inside`"),
        ("link: lans, ipv4: 10.2.2.1/24", "link: other, ipv4: 10.2.2.1/24", "where the hosts' card nic0 is not", "`link: lans`"),
        ("nic0: {type: ethernet, link: lans}", "nic0: {type: ethernet, link: lans, ipv4: 10.1.1.5/24}",
         "each host on the card has an address of its own", "remove it"),
        ("nic2: {type: ethernet, link: outside}", "nic2: {type: ethernet, link: elsewhere}",
         "nic2 is on link 'elsewhere', and the NAT's outside is on 'outside'", "`link: outside`"),
        ("nic1: {type: ethernet, link: inside}", "nic1: {type: ethernet, link: elsewhere}",
         "nic1 is on link 'elsewhere', and the NAT's inside is on 'inside'", "`link: inside`"),
        ("nic0: {type: ethernet, link: lans}", "nic0: {type: ethernet, link: elsewhere}",
         "nic0 is on link 'elsewhere', and the LANs are on 'lans'", "`link: lans`"),
        ("nic2: {type: ethernet, link: outside}", "nic2: {type: ethernet, link: inside}",
         "nic2 is on link 'inside', where another card of the hosts is", "'inside', 'outside' and that of the LANs"),
        ("nic1: {type: ethernet, link: inside}", "nic1: {type: ethernet, link: inside, ipv4: 10.0.0.50/24}",
         "each host on the card has an address of its own", "remove it"),
        ("        - 171.69.0.0/16 ", "        - 171.69.2.0/24 ", "171.69.0.0/16 (that of the documents' samples)", ""),
        (OUTSIDE_CAPTURE, "outside: {source: nic, interface: nic2}", "nic2 is lent to the hosts", "another interface"),
        ("    allow:  ", "    management: [nic2]\n    allow:  ", "nic2 is the management interface", "another interface"),
        (INSIDE_CAPTURE, "inside: {source: nic, interface: nic0}", "nic0 is lent to the hosts", "another interface"),
        (OUTSIDE_CAPTURE, OUTSIDE_CAPTURE.replace("nat-out", "nat-in"), "captured at one interface", "of its own"),
        (INSIDE_CAPTURE, INSIDE_CAPTURE.replace("nat-in", "any"), "no side of the NAT", "the one on this side"),
        (INSIDE_CAPTURE, INSIDE_CAPTURE.replace("wires", "nat"), "nat is a router, and has no tcpdump", ""),
        ("        - 10.2.0.0/16 ", "        - 10.2.1.0/24 ", "10.2.2.0/24 (the host behind east-2): nothing may be sent there", ""),
        ("    allow:  ", "    management: [nic0]\n    allow:  ", "nic0 is the management interface", "another interface"),
        ("    type: nat\n    os: ios", "    type: nat\n    os: linux", "there is no driver for a nat that is a 'linux'", "ios"),
        ("ip: 10.99.0.22}", "ip: 10.99.0.21}", "east-2 is reached where east-1 is", ""),
    ],
)  # fmt: skip
def test_a_mistake_about_a_nat_has_its_line_and_its_cure(bench, old, new, problem, cure):
    file = bench((old, new), of=ABOUT_A_NAT)
    (one, *more) = examine(file).mistakes
    assert problem in one.problem
    assert cure in one.cure
    assert not more
    if old.startswith(("ipv4: ", "link: ", "nic", "inside: ")):
        assert one.line == line_of(file, new)


def test_both_sides_of_a_nat_are_wires_of_their_own(bench):
    def said(link):
        file = bench((OUTSIDE_PORT, OUTSIDE_PORT.replace("outside", link)), of=ABOUT_A_NAT)
        return [one.problem for one in examine(file).mistakes]

    assert "both sides of the NAT are on one link: nothing would go through it" in said("inside")
    assert "the outside of the NAT is on the hosts' link 'lans'" in said("lans")


def test_endpoints_are_numbered_without_gaps(bench):
    text = (TESTBEDS / ABOUT_A_NAT).read_text()
    begin = text.index("  west-2:    ")
    device = text[begin : text.index("  west-3:\n    type", begin)]
    begin = text.index("  west-2:                       # which")
    ports = text[begin : text.index("  west-3:\n    interfaces", begin)]
    (one,) = examine(bench((device, ""), (ports, ""), of=ABOUT_A_NAT)).mistakes
    assert (one.problem, one.cure) == ("west-3 is there, and west-2 is not", "number them from 1 on, without gaps")
