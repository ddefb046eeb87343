"""What the checks of verdict/routers/esp_tunnels say of sound evidence, of a fault's, and of bad evidence."""

from dataclasses import replace

from edits import changed, doubtful, fails, in_trouble, no_capture, passes, without

from harness.model import FrameKind, Side
from harness.verdict.routers.reading import step

SCRIPT = "esp-three-tunnels"


def last_exchange(evidence):
    return step(evidence, "exchange:west-3:east-1:3")


def lost(evidence):
    """One packet of the last round does not arrive."""
    at = last_exchange(evidence).began
    gone = next(one.data["number"] for one in evidence.told if one.kind == "sent" and one.t >= at)
    kept = tuple(one for one in evidence.told if not (one.kind == "got" and one.data["number"] == gone))
    return replace(evidence, told=kept)


def elsewhere(evidence):
    """The first packet that came at all comes to somebody else."""
    first = next(one for one in evidence.told if one.kind == "got")
    other = replace(first, data={**first.data, "dst": "10.1.2.5"})
    return replace(evidence, told=tuple(other if one is first else one for one in evidence.told))


def one_pair_alone(evidence):
    steps = tuple(one for one in evidence.steps if not one.name.startswith("exchange:") or "west-1" in one.name)
    return replace(evidence, steps=steps)


def is_esp(frame):
    return frame.kind is FrameKind.ESP


CASES = (
    passes("ESN-03", SCRIPT),
    fails("ESN-03", SCRIPT, "a packet that is lost", lost, "did not come"),
    fails("ESN-03", SCRIPT, "a packet at somebody else's host", elsewhere, "came to 10.1.2.5"),
    doubtful("ESN-03", SCRIPT, "one tunnel alone", one_pair_alone, "fewer than two"),
    doubtful("ESN-03", SCRIPT, "trouble", in_trouble, "half up"),
    passes("ESN-04", SCRIPT),
    fails("ESN-04", SCRIPT, "UDP 4500 outside", changed(is_esp, sport=4500, dport=4500), "4500 outside"),
    fails("ESN-04", SCRIPT, "UDP 4500 inside", changed(is_esp, Side.INSIDE, sport=4500, dport=4500), "4500 inside"),
    fails("ESN-04", SCRIPT, "ESP in another port's UDP", changed(is_esp, sport=10000, dport=10000), "in UDP"),
    doubtful("ESN-04", SCRIPT, "no ESP", without(is_esp), "no ESP crossed"),
    doubtful("ESN-04", SCRIPT, "no capture inside", no_capture(Side.INSIDE), "no inside capture"),
)
