"""What the checks of verdict/routers/l2tp_protection say of sound evidence, of a fault's, and of bad evidence."""

from dataclasses import replace

from cases_l2tp_calls import esp, in_call, is_message, of_call, retold_up
from edits import (
    Case,
    both,
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
    unprinted,
    untold,
    with_frame,
    without,
)

from harness.model import FrameKind, Outcome, Side
from harness.verdict.routers.l2tp_world import calls
from harness.verdict.routers.reading import header_of, step

LAC, LNS = "10.0.0.12", "10.0.0.13"
CLEAR, ESP, IKE, ICMP = FrameKind.L2TP_CLEAR, FrameKind.ESP, FrameKind.IKE, FrameKind.ICMP


def during_the_call(evidence):
    return step(evidence, "ping:caller 1").began


def at_the_forged(what, later=0.1):
    return lambda evidence: step(evidence, f"inject:{what}").began + later


REQUEST = at_the_forged("SCCRQ in the clear")
DATA = at_the_forged("data in the clear")
STOP = at_the_forged("StopCCN in the clear")


def is_kind(*kinds):
    return lambda frame: frame.kind in kinds


def clear(moment, src, dst, *message, **what):
    return with_frame(moment, CLEAR, src, dst, inner=inside(*message, **what))


def with_header(**values):
    return lambda frame: replace(frame.inner, l2tp={**frame.inner.l2tp, **values})


def is_forged(message):
    """What the script forged: the messages in the clear that come from the LAC's address."""
    return lambda frame: frame.kind is CLEAR and frame.src == LAC and header_of(frame).get("message") == message


def pinged_after(what, answered):
    """The caller's echoes after what was forged."""

    def edit(evidence):
        end = step(evidence, f"inject:{what}").ended
        told = (
            replace(one, data={**one.data, "answered": answered}) if one.kind == "pinged" and one.t >= end else one
            for one in evidence.told
        )
        return replace(evidence, told=tuple(told))

    return edit


def not_pinged_after(what):
    def edit(evidence):
        end = step(evidence, f"inject:{what}").ended
        return replace(evidence, told=tuple(one for one in evidence.told if not (one.kind == "pinged" and one.t >= end)))

    return edit


def of_the_caller_at_the_far_end(moment):
    """What the LNS lets out of the tunnel."""

    def edit(evidence):
        address = calls(evidence, 1)[0].up.data["address"]
        return with_frame(moment, ICMP, address, "172.16.1.1", side=Side.FAR_END)(evidence)

    return edit


def refused(device, command, label):
    return reprinted(device, command, label, text="% Profile does not exist")


UNKNOWN = ("lac", "l2tp security crypto-profile later", "unknown")
TYPO = ("lns", "l2tp security crypto-profile typo", "typo")
ECHO = {"protocol": "IP"}

CASES = (
    passes("SEC-02", "l2tp-call"),
    fails("SEC-02", "l2tp-call", "L2TP in the clear", with_frame(during_the_call, CLEAR, LAC, LNS), "l2tp-clear"),
    fails("SEC-02", "l2tp-call", "UDP of another kind", with_frame(during_the_call, FrameKind.OTHER, LNS, LAC), "other"),
    fails("SEC-02", "l2tp-call", "L2TP to somebody else", with_frame(during_the_call, CLEAR, LAC, "10.0.0.99"), "10.0.0.99"),
    fails("SEC-02", "l2tp-call", "IKE on another port", changed(is_kind(IKE), sport=4500, dport=4500), "ike crossed"),
    doubtful("SEC-02", "l2tp-call", "no call", untold("up"), "no call came up"),
    doubtful("SEC-02", "l2tp-call", "ESP one way", without(lambda frame: frame.kind is ESP and frame.src == LNS), "no ESP of"),
    doubtful("SEC-02", "l2tp-call", "no capture", no_capture(), "no outside capture"),
    passes("SEC-30", "l2tp-unprotected"),
    fails(
        "SEC-30",
        "l2tp-unprotected",
        "protected all the same",
        with_frame(during_the_call, ESP, LAC, LNS, esp={"spi": "1"}, inner=inside()),
        "esp",
    ),
    fails("SEC-30", "l2tp-unprotected", "IKE begun", with_frame(during_the_call, IKE, LAC, LNS), "ike"),
    fails("SEC-30", "l2tp-unprotected", "ignored by the LNS", without(lambda frame: frame.src == LNS), "sent no L2TP"),
    fails("SEC-30", "l2tp-unprotected", "no connection", untold("up"), "no connection"),
    Case("SEC-30", "l2tp-call", Outcome.FAIL, lambda evidence: evidence, "though no group is protected", "a protected call"),
    doubtful("SEC-30", "l2tp-unprotected", "no call", untold("dialled")),
    passes("SEC-31", "l2tp-clear-request"),
    fails("SEC-31", "l2tp-clear-request", "an answer in the clear", clear(REQUEST, LNS, LAC, "SCCRP"), "SCCRP in the clear"),
    fails("SEC-31", "l2tp-clear-request", "a refusal in the clear", clear(REQUEST, LNS, LAC, "StopCCN"), "StopCCN"),
    fails("SEC-31", "l2tp-clear-request", "an answer in ESP", esp(REQUEST, LNS, LAC, "SCCRP"), "with SCCRP"),
    fails("SEC-31", "l2tp-clear-request", "an error by ICMP", with_frame(REQUEST, ICMP, LNS, LAC), "with icmp"),
    fails(
        "SEC-31",
        "l2tp-clear-request",
        "L2TP afterwards",
        clear(at_the_forged("SCCRQ in the clear", 30.0), LNS, LAC, "SCCRP"),
        "went on",
    ),
    fails(
        "SEC-31", "l2tp-clear-request", "a tunnel", reprinted("lns", "show vpdn", "forged", rows=first_row(remote_id=77)), "ID 77"
    ),
    fails("SEC-31", "l2tp-clear-request", "a call that dies", pinged_after("SCCRQ in the clear", False), "died"),
    Case("SEC-31", "l2tp-clear-request", Outcome.PASS, esp(REQUEST, LNS, LAC, "Hello"), "silent", "a Hello meanwhile"),
    doubtful("SEC-31", "l2tp-clear-request", "no request", not_done("inject:SCCRQ in the clear")),
    doubtful("SEC-31", "l2tp-clear-request", "not on the wire", without(is_forged("SCCRQ")), "not on the wire"),
    doubtful(
        "SEC-31", "l2tp-clear-request", "never answered", without(lambda frame: frame.kind is CLEAR and frame.src == LNS), "either"
    ),
    doubtful("SEC-31", "l2tp-clear-request", "nobody asks", not_pinged_after("SCCRQ in the clear"), "asked afterwards"),
    doubtful("SEC-31", "l2tp-clear-request", "not shown", unprinted("lns", "show vpdn"), "was not asked"),
    doubtful("SEC-31", "l2tp-clear-request", "trouble", in_trouble, "half up"),
    passes("SEC-32", "l2tp-clear-spoofs"),
    fails("SEC-32", "l2tp-clear-spoofs", "let through", of_the_caller_at_the_far_end(DATA), "came out behind"),
    fails("SEC-32", "l2tp-clear-spoofs", "answered", esp(DATA, LNS, LAC, ppp=ECHO), "answered the data"),
    fails("SEC-32", "l2tp-clear-spoofs", "answered in the clear", clear(DATA, LNS, LAC, ppp=ECHO), "in the clear"),
    fails("SEC-32", "l2tp-clear-spoofs", "a session that dies", pinged_after("data in the clear", False), "died"),
    doubtful(
        "SEC-32",
        "l2tp-clear-spoofs",
        "other IDs",
        changed(lambda frame: frame.kind is CLEAR and not header_of(frame).get("control"), inner=with_header(session=1)),
        "bears the IDs",
    ),
    doubtful("SEC-32", "l2tp-clear-spoofs", "a blind far end", without(is_kind(ICMP), side=Side.FAR_END), "far end does not see"),
    doubtful("SEC-32", "l2tp-clear-spoofs", "nobody asks", not_pinged_after("data in the clear"), "nobody asked"),
    doubtful("SEC-32", "l2tp-clear-spoofs", "no far end", no_capture(Side.FAR_END), "no far-end capture"),
    passes("SEC-33", "l2tp-clear-spoofs"),
    fails("SEC-33", "l2tp-clear-spoofs", "acknowledged", clear(STOP, LNS, LAC, "ZLB"), "answered it"),
    fails("SEC-33", "l2tp-clear-spoofs", "ended", esp(STOP, LNS, LAC, "StopCCN"), "ended the tunnel"),
    fails("SEC-33", "l2tp-clear-spoofs", "hung up", esp(STOP, LNS, LAC, "CDN"), "ended the tunnel"),
    fails("SEC-33", "l2tp-clear-spoofs", "a call that dies", pinged_after("StopCCN in the clear", False), "died"),
    doubtful(
        "SEC-33", "l2tp-clear-spoofs", "a number of before", changed(is_forged("StopCCN"), inner=with_header(ns=0)), "waits for"
    ),
    doubtful(
        "SEC-33",
        "l2tp-clear-spoofs",
        "another tunnel's ID",
        changed(is_forged("StopCCN"), inner=with_header(tunnel=1)),
        "waits for",
    ),
    doubtful("SEC-33", "l2tp-clear-spoofs", "nobody asks", not_pinged_after("StopCCN in the clear"), "nobody asked"),
    doubtful("SEC-33", "l2tp-clear-spoofs", "not forged", not_done("inject:StopCCN in the clear")),
    passes("SEC-34", "l2tp-before-the-sas"),
    fails("SEC-34", "l2tp-before-the-sas", "a clear SCCRQ", clear(in_call(1), LAC, LNS, "SCCRQ"), "SCCRQ in the clear"),
    fails("SEC-34", "l2tp-before-the-sas", "no IKE", of_call(1, 2, is_kind(IKE))(without), "did not begin IKE"),
    fails(
        "SEC-34",
        "l2tp-before-the-sas",
        "an SCCRQ before its SAs",
        of_call(2, 2, lambda frame: (frame.ike or {}).get("message") == "QM3")(without),
        "before quick mode",
    ),
    fails("SEC-34", "l2tp-before-the-sas", "no connection afterwards", untold("up"), "did not come up"),
    doubtful(
        "SEC-34",
        "l2tp-before-the-sas",
        "heard all the same",
        lambda evidence: retold_up(evidence, "caller 2", "caller 1"),
        "not heard",
    ),
    doubtful(
        "SEC-34",
        "l2tp-before-the-sas",
        "a LAC that asks nobody",
        of_call(2, 2, is_message("SCCRQ"))(without),
        "asked for no tunnel",
    ),
    doubtful("SEC-34", "l2tp-before-the-sas", "nothing lost", not_done("the LNS is not heard")),
    passes("SEC-35", "l2tp-unknown-profiles", "taken"),
    fails("SEC-35", "l2tp-unknown-profiles", "L2TP in the clear", clear(in_call(1), LAC, LNS, "SCCRQ"), "in the clear"),
    fails("SEC-35", "l2tp-unknown-profiles", "a tunnel all the same", esp(in_call(1), LAC, LNS, "SCCRQ"), "sent SCCRQ"),
    fails(
        "SEC-35",
        "l2tp-unknown-profiles",
        "a call all the same",
        lambda evidence: retold_up(evidence, "caller 2", "caller 1"),
        "came up by",
    ),
    fails("SEC-35", "l2tp-unknown-profiles", "not protected with it", of_call(2, 4, is_message("SCCRQ"))(without), "not protected"),
    Case(
        "SEC-35",
        "l2tp-unknown-profiles",
        Outcome.PASS,
        both(refused(*UNKNOWN), lambda evidence: retold_up(evidence, "caller 2", "caller 1")),
        "refused",
        "a line that is refused",
    ),
    doubtful("SEC-35", "l2tp-unknown-profiles", "no call with it", untold("up", "caller 2"), "either"),
    doubtful("SEC-35", "l2tp-unknown-profiles", "not typed", unprinted("lac", UNKNOWN[1]), "was not asked"),
    passes("SEC-36", "l2tp-unknown-profiles"),
    fails("SEC-36", "l2tp-unknown-profiles", "a tunnel all the same", esp(in_call(3), LNS, LAC, "SCCRP"), "sent SCCRP"),
    fails("SEC-36", "l2tp-unknown-profiles", "in the clear", clear(in_call(3), LAC, LNS, "SCCRQ"), "in the clear"),
    fails(
        "SEC-36",
        "l2tp-unknown-profiles",
        "a call all the same",
        lambda evidence: retold_up(evidence, "caller 4", "caller 3"),
        "came up",
    ),
    doubtful("SEC-36", "l2tp-unknown-profiles", "a line that is refused", refused(*TYPO), "kept the old one"),
    doubtful("SEC-36", "l2tp-unknown-profiles", "the right name fails too", untold("up", "caller 4"), "either"),
    doubtful(
        "SEC-36", "l2tp-unknown-profiles", "nothing tried", of_call(3, 4, lambda frame: frame.src == LAC)(without), "tried nothing"
    ),
    passes("SEC-37", "l2tp-clear-request"),
    fails(
        "SEC-37",
        "l2tp-clear-request",
        "still ignored",
        without(lambda frame: frame.kind is CLEAR and header_of(frame).get("tunnel") == 78),
        "no SCCRP",
    ),
    fails("SEC-37", "l2tp-clear-request", "still protected", with_frame(in_call(2), IKE, LAC, LNS), "no group is protected"),
    fails("SEC-37", "l2tp-clear-request", "no call", of_call(2, 2, is_message("ICRQ"))(without), "no call was placed"),
    fails("SEC-37", "l2tp-clear-request", "no connection", untold("up", "caller 2"), "no call came up in the clear"),
    doubtful("SEC-37", "l2tp-clear-request", "never protected", untold("up", "caller 1"), "not protected before"),
    doubtful("SEC-37", "l2tp-clear-request", "no request", not_done("inject:SCCRQ without protection")),
)
