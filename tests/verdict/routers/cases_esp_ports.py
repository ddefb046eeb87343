"""What the checks of verdict/routers/esp_ports say of sound evidence, of a fault's, and of bad evidence."""

from dataclasses import replace

from edits import both, changed, doubtful, fails, in_trouble, no_capture, not_done, passes, reprinted, without
from esp_edits import came, held_back, let_through, no_first, unasked

from harness.model import FrameKind, Side
from harness.verdict.routers.esp_ports import ike_of, phase
from harness.verdict.routers.esp_reading import RUNNING
from harness.verdict.routers.reading import step

SCRIPT, DEMANDED, LISTED, NEEDED = "esp-preserve-port", "esp-demanded-port", "esp-two-of-three", "esp-prerequisites"
SERVICE = "ip nat service list 10 ESP spi-match"


def with_port(label, name, port):
    """The client's port outside, in that phase."""

    def edit(evidence):
        one = phase(evidence, label)[name]
        out, back = {frame.frame for frame in one.out}, {frame.frame for frame in one.back}
        other = changed(lambda frame: frame.frame in out, sport=port)(evidence)
        return changed(lambda frame: frame.frame in back, dport=port)(other) if back else other

    return edit


def any_time_with_port(name, port):
    def edit(evidence):
        out = {frame.frame for frame in ike_of(evidence, name).out}
        return changed(lambda frame: frame.frame in out, sport=port)(evidence)

    return edit


def answers(label, name, side, **fields):
    """What came back to that client's IKE, on a side, with other ports."""

    def edit(evidence):
        one = phase(evidence, label)[name]
        frames = {frame.frame for frame in (one.got if side is Side.INSIDE else one.back)}
        return changed(lambda frame: frame.frame in frames, side, **fields)(evidence)

    return edit


def unanswered(label, name, side):
    def edit(evidence):
        one = phase(evidence, label)[name]
        frames = {frame.frame for frame in (one.got if side is Side.INSIDE else one.back)}
        return without(lambda frame: frame.frame in frames, side)(evidence)

    return edit


def no_ike(evidence):
    return without(lambda frame: frame.kind is FrameKind.IKE, Side.INSIDE)(evidence)


def nothing_out(evidence):
    return without(lambda frame: frame.kind is FrameKind.IKE)(evidence)


def came_first(label, name):
    """That client's first message is the first of the phase."""

    def edit(evidence):
        first = phase(evidence, label)[name].sent[0]
        return changed(lambda frame: frame is first, Side.INSIDE, t=step(evidence, f"phase:{label}").began)(evidence)

    return edit


def unlisted_first(evidence):
    first = ike_of(evidence, "west-2").sent[0]
    moved = changed(lambda frame: frame is first, Side.INSIDE, t=evidence.steps[0].began)(evidence)
    frames = tuple(sorted(moved.observations[Side.INSIDE], key=lambda frame: (frame.t, frame.src != first.src)))
    return replace(moved, observations={**moved.observations, Side.INSIDE: frames})


def dead(*suffixes):
    """Nothing of the exchanges whose names end so has come."""

    def edit(evidence):
        talks = [one for one in evidence.steps if one.name.startswith("exchange:") and one.name.endswith(suffixes)]
        sent = [one for one in evidence.told if one.kind == "sent"]
        numbers = {one.data["number"] for one in sent if any(talk.began <= one.t < talk.ended for talk in talks)}
        assert numbers
        return replace(
            evidence, told=tuple(one for one in evidence.told if not (one.kind == "got" and one.data["number"] in numbers))
        )

    return edit


def alive(suffix):
    """Everything of the exchanges whose names end so has come."""

    def edit(evidence):
        for one in [one for one in evidence.steps if one.name.startswith("exchange:west-2") and one.name.endswith(suffix)]:
            evidence = came(one.name)(evidence)
        return evidence

    return edit


def with_line(text):
    return text.replace(SERVICE, f"{SERVICE}\nip nat service list 10 IKE preserve-port")


def without_line(text):
    return text.replace("ip nat service list 10 IKE preserve-port\n", "")


def complete(label):
    """The gateway's configuration of that moment has what was missing."""
    matching = "\ncrypto ipsec nat-transparency spi-matching\n"
    return reprinted("east-1", RUNNING, label, text=lambda text: text + matching)


def complete_everywhere(evidence):
    matching = "\ncrypto ipsec nat-transparency spi-matching\n"
    for device, label, more in (
        ("east-2", "older gateway", matching),
        ("nat", "no service", f"\n{SERVICE}\n"),
        ("east-1", "gateway without", matching),
    ):
        evidence = reprinted(device, RUNNING, label, text=lambda text, more=more: text + more)(evidence)
    for label in ("older gateway", "gateway without"):
        evidence = came(f"answers:{label}")(evidence)
    return let_through("no service", "west-2")(evidence)


CASES = (
    passes("ESN-20", SCRIPT),
    fails("ESN-20", SCRIPT, "500 for both", with_port("default", "west-2", 500), "every client kept port 500"),
    fails("ESN-20", SCRIPT, "a tunnel that is dead", dead("west-2:east-1:2:default"), "did not come"),
    doubtful("ESN-20", SCRIPT, "no IKE", no_ike, "spoke no IKE"),
    doubtful("ESN-20", SCRIPT, "no IKE outside", nothing_out, "came out of the NAT"),
    doubtful("ESN-20", SCRIPT, "not tried", not_done("phase:default"), "was not carried out"),
    doubtful("ESN-20", SCRIPT, "not asked", unasked(":default"), "asked whether it lives"),
    passes("ESN-21", SCRIPT),
    fails("ESN-21", SCRIPT, "another port outside", with_port("on", "west-1", 1), "went out from 1 to 500"),
    fails("ESN-21", SCRIPT, "answered at another port", answers("on", "west-1", Side.OUTSIDE, dport=1), "came from 500 to 1"),
    fails("ESN-21", SCRIPT, "another port inside", answers("on", "west-1", Side.INSIDE, dport=1), "came to west-1 from 500 to 1"),
    fails("ESN-21", SCRIPT, "no answer inside", unanswered("on", "west-1", Side.INSIDE), "no answer came to west-1"),
    doubtful("ESN-21", SCRIPT, "no answer at all", unanswered("on", "west-1", Side.OUTSIDE), "answered nothing"),
    doubtful("ESN-21", SCRIPT, "the first one", came_first("on", "west-1"), "came first"),
    doubtful("ESN-21", SCRIPT, "trouble", in_trouble, "half up"),
    passes("ESN-22", SCRIPT),
    fails("ESN-22", SCRIPT, "another port", with_port("on", "west-1", 2), "IKE of west-1 had ports ['2']"),
    fails("ESN-22", SCRIPT, "the other's port", with_port("on", "west-2", 2), "IKE of west-2 had ports ['2']"),
    fails("ESN-22", SCRIPT, "the first one dies", dead("west-2:east-1:2:on"), "with both ports kept"),
    fails("ESN-22", SCRIPT, "the second is dead", dead("west-1:east-1:1:on"), "with both ports kept"),
    doubtful("ESN-22", SCRIPT, "nothing matched", reprinted("nat", RUNNING, "on", text="end"), "were not matched everywhere"),
    passes("ESN-23", DEMANDED),
    fails(
        "ESN-23",
        DEMANDED,
        "both served without it",
        both(with_port("default", "west-2", 500), alive(":default")),
        "were served, without preserve-port",
    ),
    fails("ESN-23", DEMANDED, "the second dead with it", dead("west-2:east-1:1:on"), "though preserve-port is on"),
    doubtful("ESN-23", DEMANDED, "a gateway that takes any port", alive(":default"), "does not demand 500"),
    doubtful("ESN-23", DEMANDED, "nobody served", dead(":default"), "did not serve a client that had port 500"),
    passes("ESN-25", LISTED),
    fails("ESN-25", LISTED, "500 for the unlisted", any_time_with_port("west-2", 500), "west-2, which is not on the list"),
    fails("ESN-25", LISTED, "not for a listed one", any_time_with_port("west-3", 2), "west-3, which is on the list, had port 2"),
    doubtful("ESN-25", LISTED, "the unlisted one first", unlisted_first, "came first"),
    doubtful("ESN-25", LISTED, "no capture outside", no_capture(), "no outside capture"),
    passes("ESN-26", NEEDED),
    fails("ESN-26", NEEDED, "parallel without", came("answers:gateway without"), "though east-1 has no"),
    fails("ESN-26", NEEDED, "parallel with an older one", came("answers:older gateway"), "though east-2 has no"),
    fails("ESN-26", NEEDED, "not parallel with all", held_back("complete", "west-2"), "though nothing is missing"),
    fails("ESN-26", NEEDED, "nothing that is missed", complete("gateway without"), "though nothing is missing"),
    doubtful("ESN-26", NEEDED, "nothing missing ever", complete_everywhere, "nothing was missing"),
    doubtful("ESN-26", NEEDED, "half a configuration", reprinted("nat", RUNNING, "complete", text="hostname"), "not whole"),
    doubtful("ESN-26", NEEDED, "no tunnel", no_first("no service", "west-2"), "was not up"),
    passes("ESN-27", SCRIPT),
    fails("ESN-27", SCRIPT, "on from the start", with_port("default", "west-2", 500), "kept port 500 (default)"),
    fails("ESN-27", SCRIPT, "on for good", with_port("off again", "west-2", 500), "kept port 500 (off again)"),
    fails("ESN-27", SCRIPT, "a line at first", reprinted("nat", RUNNING, "start", text=with_line), "a preserve-port line (start)"),
    fails("ESN-27", SCRIPT, "a line at last", reprinted("nat", RUNNING, "off again", text=with_line), "line (off again)"),
    fails("ESN-27", SCRIPT, "no line", reprinted("nat", RUNNING, "on", text=without_line), "no preserve-port line (on)"),
    doubtful("ESN-27", SCRIPT, "never on", with_port("on", "west-1", 1), "never on"),
    doubtful("ESN-27", SCRIPT, "not switched off", not_done("phase:off again"), "was not carried out"),
)
