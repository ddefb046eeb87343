"""What the checks of verdict/routers/esp_table_hosts say of sound evidence, of a fault's, and of bad evidence."""

from dataclasses import replace

from cases_esp_table import INBOUND, as_before, drop, put, retabled, sub
from edits import both, doubtful, fails, first_row, in_trouble, not_done, passes, reprinted, retold, unprinted, untold, without

from harness.model import FrameKind, Side
from harness.verdict.routers.reading import printed, step

HOSTS, POOL, VRF, FILTERS = "nat-table-overload", "nat-table-pool", "nat-table-vrf", "nat-table-filters"
GATEWAYS = "nat-table-gateways"
BEFORE, BETWEEN, AFTER = "nat-table-12.2-8T", "nat-table-12.2-13T", "nat-table-12.2-15T"
SHOW, CLEAR = "show ip nat translations", "clear ip nat translation"
ONE_UDP = f"{CLEAR} udp inside 171.69.233.209 1220 192.168.1.95 1220 171.69.2.132 53 171.69.2.132 53"
ONE_OUTSIDE = f"{CLEAR} outside 171.69.1.220 171.69.1.220"
ESP_OF_ONE = f"{CLEAR} esp outside 203.0.113.242 203.0.113.242"
DNS, TELNET, TELNET_2 = "171.69.2.132", "171.69.1.220", "171.69.1.161"
REFUSED = "% Invalid input detected at '^' marker."


def gets_in(name, src):
    """What that one sent in the step comes to an inside host."""

    def edit(evidence):
        at = step(evidence, name)
        sent = next(one for one in evidence.told if one.kind == "sent" and one.t >= at.began and one.data["src"] == src)
        return replace(evidence, told=(*evidence.told, replace(sent, kind="got")))

    return edit


def is_lost(name, src):
    def edit(evidence):
        at = step(evidence, name)
        kept = tuple(
            one for one in evidence.told if not (one.kind == "got" and at.began <= one.t <= at.ended and one.data["src"] == src)
        )
        assert len(kept) < len(evidence.told)
        return replace(evidence, told=kept)

    return edit


def not_sent(name, src):
    def edit(evidence):
        at = step(evidence, name)
        kept = tuple(one for one in evidence.told if not (at.began <= one.t <= at.ended and one.data["src"] == src))
        return replace(evidence, told=kept)

    return edit


def from_east(number):
    return lambda frame: is_esp(frame) and frame.src == f"203.0.113.24{number}"


def got_inside(name):
    """What the gateway sent in the step comes in."""

    def edit(evidence):
        at = step(evidence, name)
        (frame, *_) = [one for one in evidence.observations[Side.OUTSIDE] if from_east(2)(one) and at.began <= one.t <= at.ended]
        inside = (*evidence.observations[Side.INSIDE], replace(frame, side=Side.INSIDE, dst="10.0.0.12"))
        return replace(evidence, observations={**evidence.observations, Side.INSIDE: inside})

    return edit


def not_inside(name):
    def edit(evidence):
        at = step(evidence, name)
        return without(lambda frame: is_esp(frame) and at.began <= frame.t <= at.ended, Side.INSIDE)(evidence)

    return edit


def of_east_1_alone(evidence):
    """Neither half of the other gateway's entry was shown before the clear."""
    for _ in range(2):
        evidence = retabled("esp", "up", drop("203.0.113.242:"))(evidence)
    return evidence


def only_from(host):
    """As if no other inside host had spoken."""
    return lambda evidence: replace(evidence, told=tuple(one for one in evidence.told if one.data["src"] == host))


def two_addresses(evidence):
    """One host is seen outside by two addresses."""
    got = [one for one in evidence.told if one.kind == "got" and one.data["src"] == "171.69.233.209"]
    other = replace(got[-1], data={**got[-1].data, "src": "171.69.233.214"})
    return replace(evidence, told=tuple(other if one is got[-1] else one for one in evidence.told))


def runs(release):
    return lambda evidence: replace(
        reprinted("nat", "show version", "release", rows=first_row(version=release))(evidence), release=release
    )


def is_esp(frame):
    return frame.kind is FrameKind.ESP


def showing(more, other):
    """The table by one keyword is that by another."""

    def edit(evidence):
        one = printed(evidence, "nat", f"{SHOW} {other}".strip(), "up")
        return reprinted("nat", f"{SHOW} {more}", "up", text=one.text, rows=one.rows)(evidence)

    return edit


CASES = (
    passes("ESN-54", FILTERS),
    fails("ESN-54", FILTERS, "more than ESP", showing("esp", ""), "translations esp` has"),
    fails("ESN-54", FILTERS, "fewer than all of UDP", retabled("udp", "up", drop(":53 ")), "translations udp` lacks"),
    fails("ESN-54", FILTERS, "an entry of nobody", retabled("", "up", put(":1220 ", ":1221 ")), "which nobody's packets made"),
    fails("ESN-54", FILTERS, "an SPI of nobody", retabled("", "up", sub(INBOUND, ":11111111")), "the table lacks"),
    fails("ESN-54", FILTERS, "another VRF's", retabled("vrf red", "up", drop("icmp")), "the VRF of all hosts lacks"),
    fails(
        "ESN-54",
        FILTERS,
        "nothing verbose",
        retabled("verbose", "up", drop("create 00:00:00, use 00:00:00, flags")),
        "tells nothing",
    ),
    fails("ESN-54", FILTERS, "everything everywhere", showing("vrf blue", ""), "the VRF of nobody has"),
    doubtful("ESN-54", FILTERS, "no hosts", untold("got", "host 203.0.113.9"), "did not speak"),
    doubtful("ESN-54", FILTERS, "no tunnel", without(is_esp, Side.INSIDE), "no tunnel"),
    doubtful("ESN-54", FILTERS, "not asked", unprinted("nat", f"{SHOW} pptp"), "was not asked"),
    passes("ESN-55", POOL),
    fails(
        "ESN-55", POOL, "another address", retabled("", "up", put("171.69.233.210", "171.69.233.211")), "lacks `--- 171.69.233.210"
    ),
    fails("ESN-55", POOL, "not simple", retabled("", "up", put("--- 171.69.233.209 ", "tcp 171.69.233.209 ")), "has `tcp"),
    fails("ESN-55", POOL, "one row alone", retabled("", "up", drop("192.168.1.89")), "lacks"),
    fails(
        "ESN-55", POOL, "one address for both", retold("got", "host 171.69.2.132", src="171.69.233.209"), "as 171.69.233.209 and as"
    ),
    fails("ESN-55", POOL, "two addresses of one", two_addresses, "was seen outside as"),
    doubtful("ESN-55", POOL, "one host alone", only_from("192.168.1.95"), "fewer than 2"),
    passes("ESN-56", HOSTS),
    fails("ESN-56", HOSTS, "another port", retabled("", "up", put(":11012 ", ":11013 ", 1)), "lacks `tcp"),
    fails("ESN-56", HOSTS, "the wrong host", retabled("", "up", put("192.168.1.89", "192.168.1.95")), "lacks `tcp"),
    fails("ESN-56", HOSTS, "a row too few", retabled("", "up", drop("udp")), "lacks `udp"),
    fails(
        "ESN-56", HOSTS, "another address", retold("got", "host 171.69.1.220", src="171.69.233.7"), "seen outside as 171.69.233.7"
    ),
    doubtful("ESN-56", HOSTS, "one host alone", only_from("192.168.1.95"), "fewer than two"),
    doubtful("ESN-56", HOSTS, "trouble", in_trouble, "half up"),
    passes("ESN-57", HOSTS),
    fails("ESN-57", HOSTS, "made later", retabled("verbose", "up", put("create 00:01:13", "create 00:00:13")), "create of"),
    fails("ESN-57", HOSTS, "used later", retabled("verbose", "up", put("use 00:00:50", "use 00:00:00")), "use of"),
    fails("ESN-57", HOSTS, "no flags", retabled("verbose", "up", put("flags: extended", "flags: none", 1)), "not flagged"),
    fails("ESN-57", HOSTS, "an entry of nobody", retabled("verbose", "up", put(":1220 ", ":1221 ")), "nobody's packets"),
    doubtful("ESN-57", HOSTS, "not asked", unprinted("nat", f"{SHOW} verbose"), "was not asked"),
    passes("ESN-58", VRF),
    fails("ESN-58", VRF, "another address", retabled("vrf red", "up", put("171.69.233.210", "171.69.233.214")), "lacks"),
    fails("ESN-58", VRF, "one row too few", retabled("vrf red", "up", drop("192.168.11.1 ")), "lacks"),
    fails("ESN-58", VRF, "no heading", retabled("vrf red", "up", drop("Pro ")), "begins with"),
    fails(
        "ESN-58",
        VRF,
        "in the other VRF as well",
        reprinted("nat", f"{SHOW} vrf blue", "up", text="--- 171.69.233.209 192.168.11.1 --- ---"),
        "the other VRF has",
    ),
    doubtful("ESN-58", VRF, "fewer hosts", untold("got", "host 171.69.2.132"), "fewer than 5"),
    passes("ESN-59", HOSTS),
    fails("ESN-59", HOSTS, "still shown", as_before("", "refused", "udp cleared"), "the table after the clear has"),
    fails("ESN-59", HOSTS, "one too many", retabled("", "udp cleared", drop("11012")), "the table after the clear lacks"),
    fails("ESN-59", HOSTS, "still gets in", gets_in("udp cleared", DNS), "still gets in"),
    fails("ESN-59", HOSTS, "others do not", is_lost("udp cleared", TELNET), "does not get in any more"),
    doubtful("ESN-59", HOSTS, "not sent", not_sent("udp cleared", DNS), "not every outside host"),
    doubtful("ESN-59", HOSTS, "refused", reprinted("nat", ONE_UDP, "udp cleared", text=REFUSED), "refused"),
    doubtful("ESN-59", HOSTS, "not in before", both(is_lost("talk", DNS), is_lost("refused", DNS)), "before the clear either"),
    passes("ESN-62", HOSTS),
    fails("ESN-62", HOSTS, "still shown", as_before("", "udp cleared", "outside cleared"), "the table after the clear has"),
    fails("ESN-62", HOSTS, "one too many", as_before("", "all cleared", "outside cleared"), "the table after the clear lacks"),
    fails("ESN-62", HOSTS, "still gets in", gets_in("outside cleared", TELNET), "still gets in"),
    fails("ESN-62", HOSTS, "the other does not", is_lost("outside cleared", TELNET_2), "does not get in any more"),
    doubtful("ESN-62", HOSTS, "not in before", is_lost("udp cleared", TELNET), "did not get in before"),
    passes("ESN-62", GATEWAYS, "towards 203.0.113.242"),
    fails("ESN-62", GATEWAYS, "still shown", as_before("esp", "up", "cleared"), "the table after the clear has"),
    fails("ESN-62", GATEWAYS, "all of ESP", retabled("esp", "cleared", drop("203.0.113.241:")), "the table after the clear lacks"),
    fails("ESN-62", GATEWAYS, "still gets in", got_inside("from east-2"), "what east-2 sends still gets in"),
    fails("ESN-62", GATEWAYS, "the other does not", not_inside("from east-1"), "what east-1 sends does not get in any more"),
    doubtful("ESN-62", GATEWAYS, "nothing sent", without(from_east(2)), "east-2 sent no ESP"),
    doubtful("ESN-62", GATEWAYS, "refused", reprinted("nat", ESP_OF_ONE, text=REFUSED), "refused"),
    doubtful("ESN-62", GATEWAYS, "one gateway alone", of_east_1_alone, "before the clear 0 of"),
    doubtful("ESN-62", HOSTS, "refused", reprinted("nat", ONE_OUTSIDE, "outside cleared", text=REFUSED), "refused"),
    passes("ESN-64", HOSTS),
    fails("ESN-64", HOSTS, "taken", reprinted("nat", f"{CLEAR} *", "refused", text=""), "took it in user mode"),
    fails("ESN-64", HOSTS, "cleared all the same", is_lost("refused", TELNET), "does not get in since"),
    fails("ESN-64", HOSTS, "shown no more", retabled("", "refused", drop("1067")), "the table after the refusal lacks"),
    doubtful(
        "ESN-64", HOSTS, "refused always", reprinted("nat", f"{CLEAR} *", "all cleared", text=REFUSED), "privileged mode, too"
    ),
    doubtful("ESN-64", HOSTS, "never cleared", gets_in("all cleared", TELNET_2), "nothing was cleared either"),
    doubtful("ESN-64", HOSTS, "not tried", not_done("refused")),
    passes("ESN-65", BEFORE),
    passes("ESN-65", BETWEEN),
    passes("ESN-65", AFTER),
    fails("ESN-65", BEFORE, "esp too early", reprinted("nat", f"{SHOW} esp", "release", text=""), "12.2(8)T takes"),
    fails("ESN-65", BEFORE, "vrf too early", reprinted("nat", f"{SHOW} vrf red", "release", text=""), "12.2(8)T takes"),
    fails("ESN-65", BETWEEN, "vrf refused", reprinted("nat", f"{SHOW} vrf red", "release", text=REFUSED), "12.2(13)T refuses"),
    fails("ESN-65", AFTER, "esp refused", reprinted("nat", f"{SHOW} esp", "release", text=REFUSED), "12.2(15)T refuses"),
    fails("ESN-65", BEFORE, "in a later release", runs("12.4(1)"), "12.4(1) refuses"),
    doubtful("ESN-65", BEFORE, "no entry", untold("got", "host 203.0.113.9"), "does not show what was seen"),
    doubtful(
        "ESN-65",
        AFTER,
        "another release",
        reprinted("nat", "show version", "release", rows=first_row(version="12.4(1)")),
        "not 12.2",
    ),
)
