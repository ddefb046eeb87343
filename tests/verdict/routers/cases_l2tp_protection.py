"""What the checks of verdict/routers/l2tp_protection say of sound evidence, of a fault's, and of bad evidence."""

from edits import doubtful, fails, in_trouble, no_capture, not_done, passes, retold, untold, with_frame, without

from harness.model import FrameKind
from harness.verdict.routers.reading import step

LAC, LNS = "10.0.0.12", "10.0.0.13"


def during_the_call(evidence):
    return step(evidence, "ping:caller 1").began


def at_the_forged_request(evidence):
    return step(evidence, "inject:SCCRQ in the clear").began + 0.1


CASES = (
    passes("SEC-02", "l2tp-call"),
    fails("SEC-02", "l2tp-call", "L2TP in the clear", with_frame(during_the_call, FrameKind.L2TP_CLEAR, LAC, LNS), "l2tp-clear"),
    fails("SEC-02", "l2tp-call", "UDP of another kind", with_frame(during_the_call, FrameKind.OTHER, LNS, LAC), "other"),
    doubtful("SEC-02", "l2tp-call", "no call", untold("up"), "no call came up"),
    doubtful("SEC-02", "l2tp-call", "no ESP", without(lambda frame: frame.kind is FrameKind.ESP), "no ESP"),
    doubtful("SEC-02", "l2tp-call", "no capture", no_capture(), "no outside capture"),
    passes("SEC-31", "l2tp-clear-request"),
    fails(
        "SEC-31", "l2tp-clear-request", "an answer", with_frame(at_the_forged_request, FrameKind.L2TP_CLEAR, LNS, LAC), "answered"
    ),
    fails("SEC-31", "l2tp-clear-request", "a call that dies", retold("pinged", answered=False), "died"),
    doubtful("SEC-31", "l2tp-clear-request", "no request", not_done("inject:SCCRQ in the clear")),
    doubtful("SEC-31", "l2tp-clear-request", "trouble", in_trouble, "half up"),
)
