"""What the checks of verdict/routers/l2tp_benefits say of sound evidence, of a fault's, and of bad evidence."""

from dataclasses import replace

from cases_l2tp_path_mtu import arrived, lost
from edits import both, doubtful, fails, no_capture, not_done, passes, reprinted, retold, unprinted, untold, with_frame, without

from harness.model import FrameKind, Side
from harness.verdict.routers.l2tp_benefits import SAS
from harness.verdict.routers.reading import message_of, step

IDLE, ALTERED, REPEATED, CUT = "l2tp-idle-call", "l2tp-altered-esp", "l2tp-repeated-esp", "l2tp-cut-path"
COUNTED, NEIGHBOURS = "l2tp-interfaces", "l2tp-neighbours"
LAC, LNS = "10.0.0.12", "10.0.0.13"


def searched(who, what, frames):
    """As if so many frames of that one's capture held it."""

    def edit(evidence):
        def other(one):
            fits = one.kind == "searched" and (one.who, one.data["what"]) == (who, what)
            return replace(one, data={**one.data, "frames": frames}) if fits else one

        return replace(evidence, told=tuple(other(one) for one in evidence.told))

    return edit


def counted(label, count):
    def edit(evidence):
        def other(one):
            fits = one.kind == "answers" and one.data["label"] == label
            return replace(one, data={**one.data, "count": count}) if fits else one

        return replace(evidence, told=tuple(other(one) for one in evidence.told))

    return edit


def errors(device, label, count):
    """As if the device had counted so many."""
    return reprinted(device, SAS, label, rows=lambda rows: tuple(replace(row, receive_errors=count) for row in rows))


def answer_during(name):
    """An echo answer in the tunnel, once more, in that step."""

    def edit(evidence):
        seen = evidence.observations[Side.OUTSIDE]
        (answer, *_) = (one for one in seen if one.inner is not None and (one.inner.ppp or {}).get("icmp_type") == 0)
        more = replace(answer, t=step(evidence, name).began + 0.5, payload_digest="made up")
        frames = tuple(sorted((*seen, more), key=lambda one: one.t))
        return replace(evidence, observations={**evidence.observations, Side.OUTSIDE: frames})

    return edit


def dead_after(name):
    """As if the pings behind that step had gone unanswered."""

    def edit(evidence):
        at = step(evidence, name).ended
        told = tuple(
            replace(one, data={**one.data, "answered": False}) if one.kind == "pinged" and one.t > at else one
            for one in evidence.told
        )
        return replace(evidence, told=told)

    return edit


def unasked_after(name):
    def edit(evidence):
        at = step(evidence, name).ended
        return replace(evidence, told=tuple(one for one in evidence.told if not (one.kind == "pinged" and one.t > at)))

    return edit


def hellos(src="", *, since="idle", until="cut"):
    """Those that are seen from that step's beginning to that one's end."""

    def edit(evidence):
        began, ended = step(evidence, since).began, step(evidence, until).ended
        which = lambda one: began <= one.t <= ended and src in ("", one.src) and message_of(one) == "Hello"  # noqa: E731
        return without(which)(evidence)

    return edit


def grown(number, **counters):
    """As if the counters of that interface had grown by so much."""
    command = f"show interfaces virtual-access {number}"

    def edit(evidence):
        (before,) = next(one.rows for one in evidence.printed if (one.command, one.label) == (command, "before"))
        made = {name: getattr(before, name) + more for name, more in counters.items()}
        return reprinted("lns", command, "after", rows=lambda rows: (replace(rows[0], **made),))(evidence)

    return edit


def in_the_cut(evidence):
    return step(evidence, "cut").ended - 10.0


def at_the_call(evidence):
    return step(evidence, "dial:caller 1").ended


CASES = (
    passes("SEC-130", IDLE),
    fails("SEC-130", IDLE, "a name", searched("outside", "the user's name", 1), "the user's name can be read in 1"),
    fails("SEC-130", IDLE, "PPP", searched("outside", "the head of an LCP frame", 9), "LCP frame can be read in 9"),
    doubtful("SEC-130", IDLE, "no name was sent", searched("decrypted", "the LAC's name", 0), "the LAC's name did not cross"),
    doubtful("SEC-130", IDLE, "not searched", untold("searched"), "not searched"),
    passes("SEC-131", ALTERED),
    fails("SEC-131", ALTERED, "taken", counted("altered", 2), "got 1 answers"),
    fails("SEC-131", ALTERED, "answered on the wire", answer_during("inject:altered ESP"), "on the wire"),
    fails("SEC-131", ALTERED, "not counted", errors("lns", "altered", 0), "counts none"),
    fails("SEC-131", ALTERED, "the end of the call", dead_after("inject:the packet as it was"), "died"),
    doubtful("SEC-131", ALTERED, "nothing is taken", counted("as it was", 1), "not taken either"),
    doubtful("SEC-131", ALTERED, "no attack", not_done("inject:altered ESP")),
    doubtful("SEC-131", ALTERED, "no counter", errors("lns", "altered", None), "no receive errors"),
    doubtful("SEC-131", ALTERED, "not asked", unasked_after("inject:the packet as it was"), "nobody asked"),
    passes("SEC-132", REPEATED),
    fails("SEC-132", REPEATED, "taken by the LNS", counted("to the LNS", 140), "40 answers more after old packets to the LNS"),
    fails("SEC-132", REPEATED, "taken by the LAC", counted("to the LAC", 101), "1 answers more after old packets to the LAC"),
    fails("SEC-132", REPEATED, "answered", answer_during("inject:old ESP to the LNS"), "on the wire"),
    fails("SEC-132", REPEATED, "not counted", errors("lns", "after", 0), "lns counts none"),
    fails("SEC-132", REPEATED, "not counted by the LAC", errors("lac", "after", 0), "lac counts none"),
    fails("SEC-132", REPEATED, "the end of the call", dead_after("inject:old ESP to the LAC"), "died"),
    doubtful("SEC-132", REPEATED, "they were never answered", counted("before", 3), "only 3"),
    doubtful("SEC-132", REPEATED, "no attack", not_done("inject:old ESP to the LAC")),
    passes("SEC-133", IDLE, "Hello"),
    fails("SEC-133", IDLE, "L2TP in the clear", with_frame(at_the_call, FrameKind.L2TP_CLEAR, LAC, LNS), "in the clear"),
    doubtful("SEC-133", IDLE, "no Hello", without(lambda one: message_of(one) == "Hello"), "no Hello"),
    doubtful("SEC-133", IDLE, "no ZLB", without(lambda one: message_of(one) == "ZLB"), "no ZLB"),
    doubtful("SEC-133", IDLE, "no call", untold("up"), "no call"),
    passes("SEC-134", CUT),
    fails("SEC-134", CUT, "no Hellos", hellos(until="idle"), "while the tunnel was idle"),
    fails("SEC-134", CUT, "the LAC does not ask", hellos(LAC, since="cut"), "the LAC sent 0 Hellos"),
    fails("SEC-134", CUT, "the LNS does not ask", hellos(LNS, since="cut"), "the LNS sent 0 Hellos"),
    fails("SEC-134", CUT, "the caller is not told", untold("down"), "still up"),
    fails("SEC-134", CUT, "one goes on", with_frame(in_the_cut, FrameKind.ESP, LNS, LAC, esp={"next_header": 17}), "the LNS still"),
    doubtful("SEC-134", CUT, "dead before", retold("pinged", "caller 1", answered=False), "did not live"),
    doubtful("SEC-134", CUT, "nobody alive", retold("pinged", "caller 2", answered=False), "no call came up"),
    doubtful("SEC-134", CUT, "never cut", both(not_done("cut"), not_done("dial:caller 2"))),
    doubtful("SEC-134", CUT, "no capture", no_capture()),
    passes("SEC-136", NEIGHBOURS),
    fails("SEC-136", NEIGHBOURS, "the caller is not believed", lost("after"), "did not arrive there"),
    fails("SEC-136", NEIGHBOURS, "nothing is told", retold("routes", networks={"172.16.1.1/32": 1}), "did not tell"),
    fails("SEC-136", NEIGHBOURS, "no way there", retold("routes", networks={"192.0.2.0/24": 16}), "did not tell"),
    fails(
        "SEC-136", NEIGHBOURS, "RIP in the clear",
        with_frame(at_the_call, FrameKind.OTHER, LNS, "224.0.0.9", sport=520, dport=520), "beside the tunnel",
    ),
    doubtful("SEC-136", NEIGHBOURS, "reached before", arrived("before"), "before anybody had told"),
    doubtful("SEC-136", NEIGHBOURS, "nobody listened", untold("routes"), "nobody listened"),
    passes("SEC-137", COUNTED),
    fails("SEC-137", COUNTED, "nothing is counted", grown(1, packets_in=0, packets_out=0), "interface counted 0 in"),
    fails("SEC-137", COUNTED, "no bytes", grown(1, octets_out=50), "counted 50 out"),
    fails("SEC-137", COUNTED, "counted for all", grown(2, packets_in=50, packets_out=50), "idle call's interface counted 50"),
    fails("SEC-137", COUNTED, "output counted as input", grown(1, packets_in=60, octets_in=9000), "the caller sent 50"),
    fails("SEC-137", COUNTED, "what came unasked is not counted", grown(1, packets_out=52), "counted 52 out"),
    doubtful("SEC-137", COUNTED, "nothing one way", untold("got", "caller 1"), "too few to tell"),
    doubtful("SEC-137", COUNTED, "no echo", retold("pinged", answered=False), "nothing to be counted"),
    doubtful("SEC-137", COUNTED, "not shown", unprinted("lns", "show interfaces virtual-access 2"), "not asked"),
    doubtful("SEC-137", COUNTED, "no session", reprinted("lns", "show vpdn session", rows=()), "names no interface"),
)  # fmt: skip
