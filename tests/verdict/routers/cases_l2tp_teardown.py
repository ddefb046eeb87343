"""What the checks of verdict/routers/l2tp_teardown say of sound evidence, of a fault's, and of bad evidence. A router that keeps is
the fault of one that should not, and the other way round: both were played."""

from dataclasses import replace

from cases_l2tp_calls import is_message, of_call
from edits import (
    Case,
    both,
    changed,
    doubtful,
    fails,
    no_capture,
    not_done,
    passes,
    reprinted,
    unprinted,
    untold,
    with_frame,
    without,
)

from harness.model import FrameKind, Outcome
from harness.verdict.routers.l2tp_world import calls
from harness.verdict.routers.reading import step

LAC, LNS = "10.0.0.12", "10.0.0.13"
ESP, IKE, CLEAR = FrameKind.ESP, FrameKind.IKE, FrameKind.L2TP_CLEAR
ISAKMP_SHOWN, ESP_SHOWN = "show crypto isakmp sa", "show crypto ipsec sa"


def other_way(behaviour, script, says):
    """As it was played, where the routers were told the opposite."""
    return Case(behaviour, script, Outcome.FAIL, lambda evidence: evidence, says, f"as {script} has it")


def ike(*names):
    return lambda frame: (frame.ike or {}).get("message") in names


def deleting(protocol):
    return lambda frame: any(one["protocol"] == protocol for one in (frame.ike or {}).get("deletes") or ())


def shown_up(command, device):
    """What it printed after the tunnel is what it printed while that was up."""

    def edit(evidence):
        (up,) = (one for one in evidence.printed if (one.device, one.command, one.label) == (device, command, "up"))
        return reprinted(device, command, "ended", rows=up.rows)(evidence)

    return edit


def old_sas_afterwards(evidence):
    """The next call's ESP goes by the SAs of the call before."""
    first, second = calls(evidence, 2)[:2]
    spis = {
        frame.src: frame.esp["spi"]
        for frame in evidence.observations[next(iter(evidence.observations))]
        if frame.kind is ESP and frame.t < second.since
    }
    assert first.since < second.since
    which = of_call(2, 2, lambda frame: frame.kind is ESP)
    return which(lambda frames: changed(frames, esp=lambda frame: {**frame.esp, "spi": spis[frame.src]}))(evidence)


def with_cookies_of(number, of, script_calls):
    """The quick modes of one call go by the ISAKMP SA of another."""

    def edit(evidence):
        made = calls(evidence, script_calls)[of - 1]
        old = next(
            frame.ike
            for side in evidence.observations.values()
            for frame in side
            if ike("QM1")(frame) and made.since <= frame.t < made.until
        )
        cookies = {name: old[name] for name in ("icookie", "rcookie")}
        which = of_call(number, script_calls, lambda frame: frame.kind is IKE)
        return which(lambda frames: changed(frames, ike=lambda frame: {**frame.ike, **cookies}))(evidence)

    return edit


def at_step(name, later=1.0):
    return lambda evidence: step(evidence, name).began + later


def visited(address, which):
    """Frames of one visit alone."""

    def edit(evidence):
        visit = step(evidence, f"visit:{address}")
        return without(lambda frame: visit.began <= frame.t <= visit.ended and which(frame))(evidence)

    return edit


def deleted_by_the_lns(address):
    """As if the LNS had deleted, at a visit's end, the ISAKMP SA that it made."""

    def edit(evidence):
        visit = step(evidence, f"visit:{address}")
        side = next(side for side, frames in evidence.observations.items() if any(frame.kind is IKE for frame in frames))
        made = next(frame.ike for frame in evidence.observations[side] if ike("QM1")(frame) and frame.src == address)
        deletes = [{"protocol": "isakmp", "spis": [made["icookie"] + made["rcookie"]]}]
        message = {**made, "message": "INFO", "deletes": deletes}
        return with_frame(lambda evidence: visit.ended - 1, IKE, LNS, address, ike=message)(evidence)

    return edit


def late(evidence):
    """An ISAKMP message by the kept SA, long after its life."""
    made = calls(evidence, 3)[0]
    old = next(
        frame.ike for frames in evidence.observations.values() for frame in frames if ike("QM1")(frame) and frame.t >= made.since
    )
    return with_frame(lambda evidence: made.since + 700, IKE, LNS, LAC, ike={**old, "message": "INFO"})(evidence)


def one_visit_less(evidence):
    """The first visits have the step's name alone taken away."""
    steps = tuple(replace(one, name="gone") if one.name.startswith("visit:") else one for one in evidence.steps)
    return replace(evidence, steps=steps)


def a_moment_early(evidence):
    """The StopCCN is stamped a microsecond before the step in which it was asked for."""
    return changed(is_message("StopCCN"), t=step(evidence, "end:lns").began - 1e-6)(evidence)


CASES = (
    passes("SEC-38", "l2tp-teardown"),
    Case("SEC-38", "l2tp-teardown", Outcome.PASS, a_moment_early, "", "the captures' clock a moment behind"),
    other_way("SEC-38", "l2tp-keep-sa", "no Delete names the ISAKMP SA"),
    fails("SEC-38", "l2tp-teardown", "phase 1 without a word", without(deleting("isakmp")), "no Delete names the ISAKMP SA"),
    fails(
        "SEC-38",
        "l2tp-teardown",
        "phase 1 without a word, and no next tunnel",
        both(without(deleting("isakmp")), untold("up", "caller 2")),
        "no Delete names the ISAKMP SA",
    ),
    fails("SEC-38", "l2tp-teardown", "phase 2 without a word", without(deleting("esp")), "no Delete names an ESP SA"),
    fails("SEC-38", "l2tp-teardown", "phase 1 shown", shown_up(ISAKMP_SHOWN, "lns"), "lns still shows 1 ISAKMP"),
    fails("SEC-38", "l2tp-teardown", "phase 2 shown", shown_up(ESP_SHOWN, "lac"), "lac still shows"),
    fails("SEC-38", "l2tp-teardown", "phase 1 used again", with_cookies_of(2, 1, 2), "by the ISAKMP SA of the last one"),
    fails("SEC-38", "l2tp-teardown", "phase 2 used again", old_sas_afterwards, "outlived its tunnel"),
    doubtful("SEC-38", "l2tp-teardown", "no tunnel", untold("up", "caller 1"), "no tunnel was up"),
    doubtful("SEC-38", "l2tp-teardown", "not ended", without(is_message("StopCCN")), "no StopCCN"),
    doubtful("SEC-38", "l2tp-teardown", "no next tunnel", untold("up", "caller 2"), "did not come up"),
    doubtful("SEC-38", "l2tp-teardown", "not shown", unprinted("lns", ISAKMP_SHOWN), "was not asked"),
    doubtful("SEC-38", "l2tp-teardown", "no SAs before", reprinted("lac", ESP_SHOWN, "up", rows=()), "showed no ESP SAs"),
    passes("SEC-39", "l2tp-keep-sa"),
    other_way("SEC-39", "l2tp-teardown", "a Delete names the ISAKMP SA"),
    fails("SEC-39", "l2tp-keep-sa", "phase 2 kept too", without(deleting("esp")), "no Delete names an ESP SA"),
    fails("SEC-39", "l2tp-keep-sa", "phase 2 shown", shown_up(ESP_SHOWN, "lns"), "lns still shows"),
    fails("SEC-39", "l2tp-keep-sa", "phase 1 not shown", reprinted("lac", ISAKMP_SHOWN, "ended", rows=()), "lac shows 0"),
    doubtful("SEC-39", "l2tp-keep-sa", "none before", reprinted("lac", ISAKMP_SHOWN, "up", rows=()), "showed no ISAKMP SA before"),
    doubtful("SEC-39", "l2tp-keep-sa", "not ended", not_done("end:lns")),
    passes("SEC-40", "l2tp-keep-sa"),
    other_way("SEC-40", "l2tp-teardown", "took MM1"),
    fails("SEC-40", "l2tp-keep-sa", "a message less", of_call(2, 2, ike("QM3"))(without), "took QM1, QM2"),
    fails(
        "SEC-40",
        "l2tp-keep-sa",
        "by another SA",
        of_call(2, 2, ike("QM1"))(lambda which: changed(which, ike=lambda frame: {**frame.ike, "icookie": "ff" * 8})),
        "another ISAKMP SA",
    ),
    doubtful("SEC-40", "l2tp-keep-sa", "no next call", untold("up", "caller 2"), "did not come up"),
    doubtful("SEC-40", "l2tp-keep-sa", "kept from before", of_call(1, 2, ike("MM1", "MM2"))(without), "a main mode of its own"),
    doubtful("SEC-40", "l2tp-keep-sa", "no capture", no_capture()),
    passes("SEC-41", "l2tp-keep-sa-one-side"),
    doubtful("SEC-41", "l2tp-keep-sa-one-side", "one half", not_done("only lns keeps")),
    doubtful("SEC-41", "l2tp-keep-sa-one-side", "not shown", unprinted("lac", ISAKMP_SHOWN), "was not asked"),
    passes("SEC-42", "l2tp-keep-sa-visitors", "left 8"),
    fails("SEC-42", "l2tp-keep-sa-visitors", "not kept", deleted_by_the_lns("10.0.1.3"), "in spite of keep-sa"),
    fails(
        "SEC-42",
        "l2tp-keep-sa-visitors",
        "not shown",
        reprinted("lns", ISAKMP_SHOWN, "10.0.1.4", rows=()),
        "no ISAKMP SA of 10.0.1.4",
    ),
    fails(
        "SEC-42",
        "l2tp-keep-sa-visitors",
        "others lost",
        reprinted("lns", ISAKMP_SHOWN, "10.0.1.4", rows=lambda rows: rows[3:]),
        "after 4 peers the LNS shows 1",
    ),
    fails("SEC-42", "l2tp-keep-sa-visitors", "always kept", visited("10.0.1.9", deleting("isakmp")), "nothing is kept any more"),
    fails(
        "SEC-42",
        "l2tp-keep-sa-visitors",
        "always shown",
        reprinted("lns", ISAKMP_SHOWN, "10.0.1.9", rows=lambda rows: (*rows, replace(rows[0], src="10.0.1.9"))),
        "still shows an ISAKMP SA of 10.0.1.9",
    ),
    doubtful("SEC-42", "l2tp-keep-sa-visitors", "no peers", one_visit_less, "no peers"),
    doubtful("SEC-42", "l2tp-keep-sa-visitors", "no calls", untold("up", "caller 2"), "no call of 10.0.1.2"),
    passes("SEC-43", "l2tp-keep-sa-moved"),
    fails("SEC-43", "l2tp-keep-sa-moved", "blocked elsewhere", untold("up", "caller 2"), "from 10.0.1.99, has no connection"),
    fails("SEC-43", "l2tp-keep-sa-moved", "blocked at home", untold("up", "caller 3"), "from 10.0.0.12, has no connection"),
    fails(
        "SEC-43",
        "l2tp-keep-sa-moved",
        "in the clear",
        with_frame(at_step("from elsewhere"), CLEAR, "10.0.1.99", LNS),
        "in the clear",
    ),
    doubtful("SEC-43", "l2tp-keep-sa-moved", "nothing lost", of_call(3, 3, ike("MM1"))(without), "was not stale"),
    doubtful("SEC-43", "l2tp-keep-sa-moved", "one address", changed(ike("MM1"), src=LAC), "one address alone"),
    doubtful("SEC-43", "l2tp-keep-sa-moved", "not from home", untold("up", "caller 1"), "from the first address"),
    passes("SEC-44", "l2tp-keep-sa-life"),
    fails("SEC-44", "l2tp-keep-sa-life", "used for ever", with_cookies_of(3, 1, 3), "used after its life"),
    fails("SEC-44", "l2tp-keep-sa-life", "spoken of for ever", late, "used after its life"),
    fails("SEC-44", "l2tp-keep-sa-life", "no main mode", of_call(3, 3, ike("MM1"))(without), "no main mode"),
    fails("SEC-44", "l2tp-keep-sa-life", "no connection", untold("up", "caller 3"), "carries no call"),
    doubtful("SEC-44", "l2tp-keep-sa-life", "never kept", of_call(2, 3, ike("QM1"))(without), "was not kept"),
    doubtful("SEC-44", "l2tp-keep-sa-life", "two calls", untold("dialled", "caller 3"), "2 calls"),
)
