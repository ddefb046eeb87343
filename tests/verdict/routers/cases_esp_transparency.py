"""What the checks of verdict/routers/esp_transparency say of sound evidence, of a fault's, and of bad evidence."""

from dataclasses import replace

from edits import both, changed, doubtful, fails, in_trouble, no_capture, not_done, passes, reprinted, unprinted, without

from harness.model import FrameKind, Printed, Side
from harness.verdict.routers.reading import step

STATES, IDLE, DISAGREE, RELEASES = (
    "esp-transparency",
    "esp-transparency-idle",
    "esp-transparency-disagreeing",
    "esp-transparency-releases",
)
COMMAND = "crypto ipsec nat-transparency"
SPI, UDP = f"{COMMAND} spi-matching", f"{COMMAND} udp-encaps"
REFUSED = "% Invalid input detected at '^' marker."
RUNNING = "show running-config"
IN_UDP, BARE = {"sport": 4500, "dport": 4500}, {"sport": None, "dport": None}


def during(name, kind=FrameKind.ESP, **fields):
    """An edit's choice of frames: those of a step, by kind; it has to be made for the evidence in hand."""

    def make(evidence):
        at = step(evidence, name)

        def which(frame):
            wanted = kind in (None, frame.kind) and at.began <= frame.t <= at.ended
            return wanted and all(getattr(frame, key) == value for key, value in fields.items())

        return which

    return make


def carried(name, how, side=Side.OUTSIDE, **fields):
    return lambda evidence: changed(during(name, **fields)(evidence), side, **how)(evidence)


def none_of(name, side=Side.OUTSIDE, kind=FrameKind.ESP, **fields):
    return lambda evidence: without(during(name, kind, **fields)(evidence), side)(evidence)


def nothing_came(name):
    """Nothing that was sent in that step arrived."""

    def edit(evidence):
        at = step(evidence, name)
        kept = tuple(one for one in evidence.told if not (one.kind == "got" and at.began <= one.t <= at.ended))
        assert len(kept) < len(evidence.told)
        return replace(evidence, told=kept)

    return edit


def also(line, label, device="west-1"):
    """A line more in the running configuration."""
    return reprinted(device, RUNNING, label, text=lambda text: f"{text}\n{line}")


def typed_before(evidence):
    early = Printed(evidence.steps[0].began, "west-1", SPI, "")
    return replace(evidence, printed=(early, *evidence.printed))


def came_after_all(evidence):
    """The packet that was lost at the NAT comes."""
    at = step(evidence, "from outside:both off")
    sent = next(one for one in evidence.told if one.kind == "sent" and one.t >= at.began)
    return replace(evidence, told=(*evidence.told, replace(sent, who="host of west-1", kind="got")))


def crossed(evidence):
    """ESP from outside is seen inside, though the host tells of nothing."""
    at = step(evidence, "from outside:both off")
    seen = next(one for one in evidence.observations[Side.OUTSIDE] if one.t >= at.began and one.kind is FrameKind.ESP)
    inside = (*evidence.observations[Side.INSIDE], replace(seen, side=Side.INSIDE, frame=9000, dst="10.0.0.11"))
    return replace(evidence, observations={**evidence.observations, Side.INSIDE: inside})


def matched(name):
    """The SPIs of a state's tunnel are those of the state with SPI matching."""

    def edit(evidence):
        at = step(evidence, "state:spi-matching")
        pair = {
            frame.src: frame.esp["spi"]
            for frame in evidence.observations[Side.OUTSIDE]
            if frame.kind is FrameKind.ESP and at.began <= frame.t <= at.ended
        }
        change = changed(during(name)(evidence), esp=lambda frame: {**frame.esp, "spi": pair[frame.src]}, **BARE)
        return change(evidence)

    return edit


def no_sas(device, label):
    return reprinted(device, "show crypto ipsec sa", label, rows=())


def everything_bare(evidence):
    """Nobody ever used UDP."""
    return changed(lambda frame: frame.kind is FrameKind.ESP, **BARE)(evidence)


CASES = (
    passes("ESN-30", STATES),
    fails("ESN-30", STATES, "protocol 50 outside", carried("state:default", BARE), "in protocol 50 outside"),
    fails("ESN-30", STATES, "protocol 50 inside", carried("state:default", BARE, Side.INSIDE), "in protocol 50 inside"),
    fails("ESN-30", STATES, "another port", carried("state:default", {"sport": 1, "dport": 10000}), "in UDP 1 to 10000"),
    fails("ESN-30", STATES, "nothing comes", nothing_came("state:default"), "did not come"),
    doubtful("ESN-30", STATES, "told before", typed_before, "had been told"),
    doubtful("ESN-30", STATES, "no NAT", none_of("state:default", src="203.0.113.232"), "crossed a NAT"),
    doubtful("ESN-30", STATES, "trouble", in_trouble, "half up"),
    passes("ESN-31", STATES),
    fails("ESN-31", STATES, "still in UDP", carried("state:spi-matching", IN_UDP), "in UDP 4500 outside"),
    fails("ESN-31", STATES, "not shown", reprinted("west-1", RUNNING, "spi-matching", text="hostname x"), "west-1 shows []"),
    fails("ESN-31", STATES, "both shown", also(UDP, "spi-matching", "east-1"), "east-1 shows"),
    fails("ESN-31", STATES, "nothing comes", nothing_came("state:spi-matching"), "did not come"),
    doubtful("ESN-31", STATES, "never in UDP", everything_bare, "not in UDP before"),
    passes("ESN-32", STATES),
    fails("ESN-32", STATES, "still protocol 50", carried("state:udp-encaps", BARE), "in protocol 50"),
    fails("ESN-32", STATES, "still shown", also(SPI, "udp-encaps"), "still shows"),
    fails("ESN-32", STATES, "nothing comes", nothing_came("state:udp-encaps"), "did not come"),
    doubtful("ESN-32", STATES, "in UDP before", carried("state:spi-matching", IN_UDP), "not protocol 50 before"),
    passes("ESN-33", STATES),
    fails("ESN-33", STATES, "two ways", carried("state:udp-encaps", BARE, src="203.0.113.241"), "was in UDP 4500 and in"),
    fails("ESN-33", STATES, "both shown", both(also(SPI, "udp-encaps"), also(UDP, "udp-encaps")), "shows both"),
    fails("ESN-33", STATES, "the first stays", also(SPI, "order 2"), "shows ['crypto"),
    fails("ESN-33", STATES, "the last is not taken", reprinted("west-1", RUNNING, "order 1", text="hostname x"), "no SPI matching"),
    doubtful("ESN-33", STATES, "no orders", lambda one: replace(one, steps=tuple(s for s in one.steps if "order" not in s.name))),
    passes("ESN-34", STATES, "is off"),
    fails("ESN-34", STATES, "still shown", also(SPI, "no spi-matching"), "still shows"),
    fails("ESN-34", STATES, "still matched", matched("state:no spi-matching"), "SPIs match"),
    doubtful("ESN-34", STATES, "no ESP", none_of("state:no spi-matching"), "no ESP crossed"),
    doubtful("ESN-34", STATES, "none to compare with", none_of("state:spi-matching"), "no tunnel with SPI matching"),
    passes("ESN-35", STATES),
    fails("ESN-35", STATES, "ESP in UDP", carried("state:no udp-encaps", IN_UDP), "esp on UDP 4500"),
    fails("ESN-35", STATES, "IKE on 4500", carried("state:no udp-encaps", IN_UDP, kind=FrameKind.IKE), "ike on UDP 4500"),
    doubtful("ESN-35", STATES, "no ESP", none_of("state:no udp-encaps", Side.INSIDE), "no ESP was sent"),
    doubtful("ESN-35", STATES, "no IKE", none_of("state:no udp-encaps", kind=FrameKind.IKE), "nobody negotiated"),
    passes("ESN-36", STATES),
    fails("ESN-36", STATES, "ESP in UDP", carried("state:both off", IN_UDP, Side.INSIDE), "esp on UDP 4500"),
    fails("ESN-36", STATES, "matched", matched("state:both off"), "SPIs match"),
    fails("ESN-36", STATES, "not shown", reprinted("west-1", RUNNING, "both off", text="hostname x"), "west-1 shows []"),
    fails("ESN-36", STATES, "one on", also(SPI, "both off"), "west-1 shows"),
    doubtful("ESN-36", STATES, "not printed", unprinted("west-1", RUNNING), "was not asked"),
    passes("ESN-37", STATES, "is shown"),
    doubtful("ESN-37", STATES, "not tried", not_done("state:both off in reverse")),
    passes("ESN-38", IDLE, "the configuration is the cause"),
    fails("ESN-38", IDLE, "it came", came_after_all, "came through"),
    fails("ESN-38", IDLE, "it crossed", crossed, "crossed the idle NAT"),
    fails("ESN-38", IDLE, "in UDP", carried("from outside:both off", IN_UDP), "in UDP with both off"),
    doubtful("ESN-38", IDLE, "no control", nothing_came("from outside:udp-encaps"), "with UDP encapsulation either"),
    doubtful("ESN-38", IDLE, "not sent", none_of("from outside:both off"), "sent no ESP"),
    doubtful("ESN-38", IDLE, "not off", also(UDP, "both off"), "has not both off"),
    passes("ESN-39", RELEASES),
    fails("ESN-39", RELEASES, "taken too early", reprinted("west-1", UDP, "release", text=""), "12.2(11)T takes"),
    fails("ESN-39", RELEASES, "keyword too early", reprinted("west-2", SPI, "release", text=""), "12.2(13)T takes"),
    fails("ESN-39", RELEASES, "refused", reprinted("west-3", SPI, "release", text=REFUSED), "12.2(15)T refuses"),
    fails("ESN-39", RELEASES, "UDP too early", carried("release:west-1", IN_UDP, Side.INSIDE), "12.2(11)T was in UDP"),
    fails("ESN-39", RELEASES, "no UDP", carried("release:west-2", BARE, Side.INSIDE), "12.2(13)T was in protocol 50"),
    fails("ESN-39", RELEASES, "nothing comes", nothing_came("release:west-3"), "did not come"),
    doubtful("ESN-39", RELEASES, "no ESP", none_of("release:west-1", Side.INSIDE), "sent no ESP"),
    doubtful("ESN-39", RELEASES, "one release alone", not_done("release:west-1"), "not one of each kind"),
    passes("ESN-40", DISAGREE),
    fails("ESN-40", DISAGREE, "one end alone", no_sas("east-1", "udp-encaps and spi-matching"), "one end has SAs"),
    fails("ESN-40", DISAGREE, "nothing passes", nothing_came("state:spi-matching and udp-encaps"), "did not come"),
    fails(
        "ESN-40",
        DISAGREE,
        "two ways",
        carried("state:udp-encaps and spi-matching", IN_UDP, src="203.0.113.241"),
        "in UDP 4500 and in",
    ),
    fails(
        "ESN-40",
        DISAGREE,
        "silence",
        both(*(no_sas(device, "udp-encaps and spi-matching") for device in ("west-1", "east-1"))),
        "nobody said why",
    ),
    doubtful("ESN-40", DISAGREE, "no IKE", none_of("state:udp-encaps and spi-matching", kind=FrameKind.IKE), "nobody negotiated"),
    doubtful("ESN-40", DISAGREE, "no capture inside", no_capture(Side.INSIDE), "no inside capture"),
    passes("ESN-41", STATES, "the live SAs"),
    doubtful("ESN-41", STATES, "not tried", not_done("live:spi-matching")),
)
