"""What the checks of verdict/routers/l2tp_calls say of sound evidence, of a fault's, and of bad evidence."""

from dataclasses import replace

from edits import (
    changed,
    doubtful,
    fails,
    first_row,
    in_trouble,
    inside,
    no_capture,
    not_done,
    passes,
    reprinted,
    retold,
    unlogged,
    unprinted,
    untold,
    with_frame,
    without,
)

from harness.model import FrameKind
from harness.verdict.routers.l2tp_world import calls
from harness.verdict.routers.reading import avp, message_of, ppp_of, step

LAC, LNS = "10.0.0.12", "10.0.0.13"
NO_CALL = untold("dialled")


def in_call(number):
    """A moment after the call was dialled."""
    return lambda evidence: calls(evidence, number)[number - 1].since + 0.001


def is_message(*names):
    return lambda frame: message_of(frame) in names


def esp(moment, src, dst, *message, **what):
    return with_frame(moment, FrameKind.ESP, src, dst, inner=inside(*message, **what))


def with_avp(name, value):
    """For `changed`: the frame's L2TP with another value of an attribute."""

    def inner(frame):
        said = {**frame.inner.l2tp, "avps": {**frame.inner.l2tp["avps"], name: value}}
        return replace(frame.inner, l2tp=said)

    return inner


def of_call(number, script_calls, which):
    """Frames of one call alone: the edit is made with the evidence's own times."""

    def edit(make):
        def done(evidence):
            call = calls(evidence, script_calls)[number - 1]
            return make(lambda frame: call.since <= frame.t < call.until and which(frame))(evidence)

        return done

    return edit


LCP_REQUEST = {"protocol": "LCP", "code": "Configure-Request", "options": {"Authentication": "chap-md5"}}


def is_lcp_request_of_the_lns(frame):
    said = ppp_of(frame)
    return frame.src == LNS and said.get("protocol") == "LCP" and said.get("code") == "Configure-Request"


def is_address_ack(frame):
    said = ppp_of(frame)
    return frame.src == LNS and said.get("protocol") == "IPCP" and said.get("code") == "Configure-Ack"


def is_from(*addresses):
    return lambda frame: frame.src in addresses


def retold_up(evidence, like, who):
    """As if `who` had come up as `like` has."""
    (up,) = (one for one in evidence.told if one.kind == "up" and one.who == like)
    return replace(evidence, told=(*evidence.told, replace(up, who=who)))


def said_without(evidence):
    within = step(evidence, "no vpdn logging")
    return {"t": within.ended - 1.0, "line": "%VPDN-6-CLOSED: a call"}


CASES = (
    passes("SEC-01", "l2tp-call", "172.16.1.10"),
    fails("SEC-01", "l2tp-call", "no PPP", untold("up"), "did not come up"),
    fails("SEC-01", "l2tp-call", "a strange address", retold("up", address="192.0.2.1"), "no address of the pool"),
    fails("SEC-01", "l2tp-call", "no answers", retold("pinged", answered=False), "does not answer"),
    fails("SEC-01", "l2tp-call", "two tunnels", esp(in_call(1), LAC, LNS, "SCCRQ", avps={"Assigned Tunnel ID": 9}), "2 requests"),
    fails("SEC-01", "l2tp-call", "two calls", esp(in_call(1), LAC, LNS, "ICRQ", avps={"Assigned Session ID": 9}), "2 calls"),
    fails(
        "SEC-01", "l2tp-call", "another tunnel shown", reprinted("lns", "show vpdn", "up", rows=first_row(local_id=1)), "lns shows"
    ),
    fails("SEC-01", "l2tp-call", "nothing shown", reprinted("lac", "show vpdn", "up", rows=()), "lac shows"),
    doubtful("SEC-01", "l2tp-call", "no call", NO_CALL, "0 calls"),
    doubtful("SEC-01", "l2tp-call", "not shown", unprinted("lac", "show vpdn"), "was not asked"),
    doubtful("SEC-01", "l2tp-call", "half understood", reprinted("lac", "show vpdn", "up", unread=("what",)), "not wholly"),
    passes("SEC-03", "l2tp-call"),
    fails("SEC-03", "l2tp-call", "IKE on the line", retold("line", carried={"1": 3, "17 500 500": 2}), "17 500 500"),
    fails("SEC-03", "l2tp-call", "ESP on the line", retold("line", carried={"50": 9}), "IPsec or L2TP"),
    fails("SEC-03", "l2tp-call", "L2TP on the line", retold("line", carried={"17 1701 1701": 9}), "IPsec or L2TP"),
    doubtful("SEC-03", "l2tp-call", "a silent line", retold("line", carried={}), "nothing is known"),
    doubtful("SEC-03", "l2tp-call", "no protection", without(lambda frame: frame.kind is FrameKind.ESP), "not protected"),
    doubtful("SEC-03", "l2tp-call", "no answers", retold("pinged", answered=False), "no call came up"),
    passes("SEC-04", "l2tp-domains"),
    fails("SEC-04", "l2tp-domains", "IKE for the other", with_frame(in_call(1), FrameKind.IKE, LAC, LNS), "sent ike for visitor"),
    fails("SEC-04", "l2tp-domains", "L2TP for the other", with_frame(in_call(1), FrameKind.L2TP_CLEAR, LAC, LNS), "visitor"),
    fails(
        "SEC-04", "l2tp-domains", "ours not tunnelled", of_call(2, 4, is_message("ICRQ"))(without), "0 calls were placed for user"
    ),
    fails("SEC-04", "l2tp-domains", "ours not up", untold("up", "caller 2"), "no connection"),
    doubtful(
        "SEC-04", "l2tp-domains", "no name asked", retold("line", "caller 1", protocols={"0xc021": 3}), "not asked for its name"
    ),
    doubtful("SEC-04", "l2tp-domains", "no call", NO_CALL),
    passes("SEC-05", "l2tp-domains"),
    fails("SEC-05", "l2tp-domains", "the added one is not", of_call(3, 4, is_message("ICRQ"))(without), "placed for visitor"),
    fails("SEC-05", "l2tp-domains", "the first one is not", of_call(4, 4, is_message("ICRQ"))(without), "placed for user"),
    fails("SEC-05", "l2tp-domains", "the added one is not up", untold("up", "caller 3"), "no connection"),
    doubtful("SEC-05", "l2tp-domains", "three calls", untold("dialled", "caller 4"), "3 calls"),
    passes("SEC-06", "l2tp-two-servers"),
    fails(
        "SEC-06",
        "l2tp-two-servers",
        "always the first",
        changed(lambda frame: frame.dst == "10.0.0.14", dst=LNS),
        "not to 10.0.0.14",
    ),
    fails("SEC-06", "l2tp-two-servers", "always the second", changed(lambda frame: frame.dst == LNS, dst="10.0.0.14"), "not to"),
    fails("SEC-06", "l2tp-two-servers", "no connection", untold("up", "caller 2"), "no connection"),
    doubtful("SEC-06", "l2tp-two-servers", "nothing sent", of_call(2, 2, is_from(LAC))(without), "sent nothing"),
    passes("SEC-07", "l2tp-names"),
    fails(
        "SEC-07",
        "l2tp-names",
        "the router's own name",
        changed(is_message("SCCRQ"), inner=with_avp("Host Name", "Access")),
        "bears the name Access",
    ),
    fails(
        "SEC-07",
        "l2tp-names",
        "always the same name",
        changed(lambda frame: avp(frame, "Host Name") == "OTHER", inner=with_avp("Host Name", "LAC")),
        "not OTHER",
    ),
    doubtful("SEC-07", "l2tp-names", "no request", without(is_message("SCCRQ")), "no tunnel"),
    passes("SEC-08", "l2tp-names"),
    fails("SEC-08", "l2tp-names", "a call accepted", esp(in_call(2), LNS, LAC, "ICRP"), "took a call"),
    fails("SEC-08", "l2tp-names", "a caller up", lambda evidence: retold_up(evidence, "caller 1", "caller 2"), "came up"),
    fails("SEC-08", "l2tp-names", "in the clear", with_frame(in_call(2), FrameKind.L2TP_CLEAR, LAC, LNS), "in the clear"),
    doubtful("SEC-08", "l2tp-names", "the right name fails too", untold("up", "caller 3"), "no tunnel of the name"),
    doubtful("SEC-08", "l2tp-names", "no request", of_call(2, 3, is_message("SCCRQ"))(without), "asked for no tunnel"),
    passes("SEC-09", "l2tp-call"),
    fails("SEC-09", "l2tp-call", "no challenge", changed(is_message("SCCRQ"), inner=with_avp("Challenge", None)), "no Challenge"),
    fails("SEC-09", "l2tp-call", "no answer", changed(is_message("SCCRP"), inner=with_avp("Challenge Response", None)), "SCCRP"),
    fails(
        "SEC-09",
        "l2tp-call",
        "a wrong answer",
        changed(is_message("SCCCN"), inner=with_avp("Challenge Response", "00" * 16)),
        "SCCCN does not prove",
    ),
    fails("SEC-09", "l2tp-call", "no call", untold("up"), "carries no call"),
    doubtful("SEC-09", "l2tp-call", "no answer at all", without(is_message("SCCRP")), "no SCCRP"),
    passes("SEC-10", "l2tp-tunnel-password"),
    fails("SEC-10", "l2tp-tunnel-password", "no StopCCN", without(is_message("StopCCN")), "nobody ended"),
    fails("SEC-10", "l2tp-tunnel-password", "a call accepted", esp(in_call(1), LNS, LAC, "ICRP"), "took a call"),
    fails("SEC-10", "l2tp-tunnel-password", "a caller up", lambda evidence: retold_up(evidence, "caller 2", "caller 1"), "came up"),
    doubtful("SEC-10", "l2tp-tunnel-password", "the right one fails too", untold("up"), "right password either"),
    passes("SEC-12", "l2tp-lcp"),
    fails("SEC-12", "l2tp-lcp", "not in the second", of_call(5, 6, is_lcp_request_of_the_lns)(without), "took over"),
    fails("SEC-12", "l2tp-lcp", "no connection", untold("up", "caller 4"), "no connection"),
    doubtful("SEC-12", "l2tp-lcp", "no calls", NO_CALL),
    passes("SEC-13", "l2tp-lcp"),
    fails("SEC-13", "l2tp-lcp", "though it fits", esp(in_call(3), LNS, LAC, ppp=LCP_REQUEST), "though it fits"),
    fails("SEC-13", "l2tp-lcp", "a mismatch taken over", of_call(2, 6, is_lcp_request_of_the_lns)(without), "does not fit"),
    fails("SEC-13", "l2tp-lcp", "no connection", untold("up", "caller 2"), "no connection"),
    doubtful(
        "SEC-13",
        "l2tp-lcp",
        "no mismatch",
        of_call(2, 6, is_message("ICCN"))(lambda which: changed(which, inner=with_avp("Proxy Authen Type", 3))),
        "had not agreed on CHAP",
    ),
    passes("SEC-14", "l2tp-lcp"),
    fails("SEC-14", "l2tp-lcp", "begun again", esp(in_call(6), LNS, LAC, ppp=LCP_REQUEST), "began LCP again"),
    fails("SEC-14", "l2tp-lcp", "no connection", untold("up", "caller 6"), "no connection"),
    doubtful(
        "SEC-14", "l2tp-lcp", "nothing to take over", changed(is_message("ICCN"), inner=with_avp("Last Sent LCP CONFREQ", None))
    ),
    passes("SEC-15", "l2tp-pool"),
    fails("SEC-15", "l2tp-pool", "no address", untold("up", "caller 2"), "has no address"),
    fails("SEC-15", "l2tp-pool", "of another pool", retold("up", "caller 2", address="172.16.1.10"), "not of the pool"),
    fails("SEC-15", "l2tp-pool", "the same for both", retold("up", address="172.16.2.10"), "one address"),
    fails("SEC-15", "l2tp-pool", "not by IPCP", without(is_address_ack), "acknowledged []"),
    fails("SEC-15", "l2tp-pool", "no use", retold("pinged", "caller 1", answered=False), "does not answer"),
    doubtful("SEC-15", "l2tp-pool", "one call", untold("dialled", "caller 2"), "1 calls"),
    doubtful("SEC-15", "l2tp-pool", "no capture", no_capture(), "no outside capture"),
    passes("SEC-16", "l2tp-logging"),
    fails(
        "SEC-16",
        "l2tp-logging",
        "logged all the same",
        lambda evidence: replace(evidence, logged=(*evidence.logged, replace(evidence.logged[-1], **said_without(evidence)))),
        "in spite of it",
    ),
    doubtful("SEC-16", "l2tp-logging", "nothing logged", unlogged("%VPDN-"), "whatever is configured"),
    doubtful("SEC-16", "l2tp-logging", "no second call", untold("up", "caller 2"), "not a whole call"),
    doubtful("SEC-16", "l2tp-logging", "half done", not_done("no vpdn logging")),
    passes("SEC-17", "l2tp-client-example"),
    fails(
        "SEC-17",
        "l2tp-client-example",
        "a line refused",
        reprinted("lac", "clockrate 128000", "client", text="% Invalid input detected at '^' marker."),
        "was refused",
    ),
    fails(
        "SEC-17",
        "l2tp-client-example",
        "a line not kept",
        reprinted("lac", "show running-config", "client", text=lambda text: text.replace(" no cdp enable\n", "")),
        "'no cdp enable' is not in",
    ),
    doubtful("SEC-17", "l2tp-client-example", "cut off", reprinted("lac", "show running-config", "client", text="hostname Client")),
    doubtful("SEC-17", "l2tp-client-example", "trouble", in_trouble),
)
