"""What the checks of verdict/routers/esp_services say of sound evidence, of a fault's, and of bad evidence."""

from dataclasses import replace

from cases_esp_table import put
from cases_esp_transparency import nothing_came
from edits import changed, doubtful, fails, in_trouble, not_done, passes, reprinted, unprinted, with_frame, without

from harness.model import FrameKind, Side, nat_words
from harness.verdict.routers.reading import step

FTP, SKINNY, OTHERS = "nat-services-ftp", "nat-services-skinny", "nat-services-others"
SERVER, OUTSIDER, NAT = "203.0.113.99", "203.0.113.9", "203.0.113.232"
WITH = "phone:with the line"
REFUSED = "% Invalid input detected at '^' marker."


def resaid(name, who, part, **fields):
    """What came to that host in the step and holds `part` came otherwise."""

    def edit(evidence):
        at = step(evidence, name)

        def other(one):
            wanted = one.kind == "got" and one.who == f"host {who}" and at.began <= one.t <= at.ended
            return replace(one, data={**one.data, **fields}) if wanted and part in one.data["said"] else one

        changed_to = tuple(map(other, evidence.told))
        assert changed_to != evidence.told, "there is nothing to change"
        return replace(evidence, told=changed_to)

    return edit


def gone(name, which):
    """What was told in that step, less this."""

    def edit(evidence):
        at = step(evidence, name)
        kept = tuple(one for one in evidence.told if not (at.began <= one.t <= at.ended and which(one)))
        assert len(kept) < len(evidence.told)
        return replace(evidence, told=kept)

    return edit


def came(port):
    return lambda one: one.kind == "got" and one.data.get("dport") == port


def opened(name):
    """The request that was not let through comes to the server."""

    def edit(evidence):
        at = step(evidence, name)
        asked = next(one for one in evidence.told if one.kind == "sent" and one.t >= at.began)
        got = replace(asked, kind="got", who="host 10.0.0.99", data={**asked.data, "dst": "10.0.0.99"})
        return replace(evidence, told=(*evidence.told, got))

    return edit


def at_step(name):
    return lambda evidence: step(evidence, name).began


def ike_of_nat(frame):
    return frame.kind is FrameKind.IKE and frame.src == NAT


def esp(frame):
    return frame.kind is FrameKind.ESP


BLOCKED, ALONE = f"2021 alone:{SERVER}:21", f"2021 alone:{SERVER}:2021"
BOTH_21, BOTH_2021 = f"both:{SERVER}:21", f"both:{SERVER}:2021"
LAST_TALK = "exchange:west-2:east-1:{}".format

CASES = (
    passes("ESN-70", FTP),
    fails("ESN-70", FTP, "let through", opened(BLOCKED), "port 21 was let through"),
    fails(
        "ESN-70",
        FTP,
        "seen inside",
        with_frame(at_step(BLOCKED), FrameKind.OTHER, OUTSIDER, "10.0.0.99", Side.INSIDE),
        "let something of",
    ),
    fails("ESN-70", FTP, "2021 blocked, too", gone(ALONE, came(2021)), "no control connection"),
    fails("ESN-70", FTP, "not translated", resaid(ALONE, OUTSIDER, "227 ", said="227 (10,0,0,99,19,136)"), "was told to go to"),
    fails("ESN-70", FTP, "no data", gone(ALONE, came(5000)), "for data"),
    fails("ESN-70", FTP, "numbers that do not follow", resaid(ALONE, "10.0.0.99", "LIST", ack=5051), "had not sent"),
    fails("ESN-70", FTP, "every server blocked", gone("2021 alone:203.0.113.98:21", came(21)), "203.0.113.98 port 21"),
    doubtful("ESN-70", FTP, "21 never worked", gone("no line", came(21)), "without the line either"),
    doubtful("ESN-70", FTP, "not asked", not_done(BLOCKED)),
    doubtful("ESN-70", FTP, "trouble", in_trouble, "half up"),
    passes("ESN-71", FTP),
    fails("ESN-71", FTP, "21 still blocked", gone(BOTH_21, came(21)), "port 21 with both"),
    fails("ESN-71", FTP, "2021 blocked", gone(BOTH_2021, came(2021)), "port 2021 with both"),
    fails("ESN-71", FTP, "not translated", resaid(BOTH_21, OUTSIDER, "227 ", said="227 (10,0,0,99,19,136)"), "was told to go to"),
    fails("ESN-71", FTP, "no data", gone(BOTH_2021, came(5000)), "for data"),
    fails("ESN-71", FTP, "numbers that do not follow", resaid(BOTH_21, "10.0.0.99", "LIST", ack=1), "had not sent"),
    fails("ESN-71", FTP, "a tunnel that died", nothing_came(LAST_TALK("both")), "did not come (both)"),
    fails("ESN-71", FTP, "ESP in UDP", changed(esp, sport=4500, dport=4500), "ESP was in UDP 4500"),
    fails("ESN-71", FTP, "another port of IKE", changed(ike_of_nat, sport=1), "from port 1"),
    doubtful("ESN-71", FTP, "one tunnel", not_done(LAST_TALK("both")), "fewer than two tunnels"),
    passes("ESN-72", SKINNY),
    fails(
        "ESN-72",
        SKINNY,
        "not translated at registering",
        resaid(WITH, "203.0.113.8", "SEP", said=nat_words.register("10.0.0.50").decode("latin-1")),
        "was told 10.0.0.50",
    ),
    fails(
        "ESN-72",
        SKINNY,
        "not translated for media",
        resaid(WITH, "203.0.113.8", "\x22", said=nat_words.opened("10.0.0.50", 16384).decode("latin-1")),
        "was told 10.0.0.50",
    ),
    fails(
        "ESN-72",
        SKINNY,
        "translated without the line",
        resaid("phone:without the line", "203.0.113.8", "SEP", said=nat_words.register(NAT).decode("latin-1")),
        "without the line",
    ),
    fails("ESN-72", SKINNY, "media lost", gone(WITH, came(16384)), "did not come to the phone"),
    fails("ESN-72", SKINNY, "media at another port", resaid(WITH, "10.0.0.50", "media", dport=9), "did not come to the phone"),
    doubtful("ESN-72", SKINNY, "no messages", gone(WITH, came(20002)), "did not get both"),
    doubtful("ESN-72", SKINNY, "no media", gone(WITH, lambda one: one.data["said"] == "media"), "nobody sent media"),
    passes("ESN-73", OTHERS),
    fails("ESN-73", OTHERS, "refused", reprinted("nat", "ip nat service ras", "others", text=REFUSED), "`ip nat service ras` was"),
    fails(
        "ESN-73",
        OTHERS,
        "a line lost",
        reprinted("nat", "show running-config", "others", text=put(" IKE preserve-port", "")),
        "preserve-port` is not",
    ),
    fails("ESN-73", OTHERS, "SIP lost", gone("neighbours", came(5060)), "to port 5060 did not come"),
    fails("ESN-73", OTHERS, "a live tunnel died", nothing_came(LAST_TALK("live")), "did not come (live)"),
    fails("ESN-73", OTHERS, "no new tunnel", nothing_came(LAST_TALK("anew")), "did not come (anew)"),
    fails("ESN-73", OTHERS, "another port of IKE", changed(ike_of_nat, sport=2), "from port 2"),
    doubtful("ESN-73", OTHERS, "not offered", unprinted("nat", "ip nat service H225"), "was not asked"),
    doubtful(
        "ESN-73", OTHERS, "not tried", gone("neighbours", lambda one: one.data.get("dport") == 1720), "not all services were tried"
    ),
    passes("ESN-74", OTHERS, "slip"),
    fails("ESN-74", OTHERS, "TCP preserved", resaid("TCP from port 500", OUTSIDER, "", sport=500), "from the ports [500, 500]"),
    fails("ESN-74", OTHERS, "UDP not preserved", changed(ike_of_nat, sport=2), "from UDP port 2"),
    doubtful("ESN-74", OTHERS, "one host", gone("TCP from port 500", lambda one: one.data["src"] == "10.0.0.51"), "fewer than two"),
    doubtful("ESN-74", OTHERS, "no IKE", without(ike_of_nat), "spoke IKE"),
)
