"""What the checks of verdict/routers/esp_tunnels say of sound evidence, of a fault's, and of bad evidence."""

from dataclasses import replace

from edits import changed, doubtful, fails, in_trouble, no_capture, not_done, passes, reprinted, unprinted, without
from esp_edits import (
    came,
    gone,
    held_back,
    is_esp,
    let_through,
    misgiven,
    never_out,
    no_first,
    spoken_early,
    unasked,
    unread_quick_mode,
    used_before,
)

from harness.model import FrameKind, Side
from harness.verdict.routers.esp_reading import RUNNING, attempt
from harness.verdict.routers.reading import step

SCRIPT = "esp-three-tunnels"
PLAIN, DEFAULT, OLDER = "esp-plain-nat", "esp-nothing-then-nat", "esp-prerequisites"
TABLE = "show ip nat translations esp"
OFFER = "crypto ipsec nat-transparency spi-matching"


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


def outside_by_the_nat(frame):
    return is_esp(frame) and frame.src.startswith("203.0.113.23")


def quick_mode(message, **row):
    """The proposals of these messages, otherwise."""

    def other(frame):
        return {**frame.ike, "proposals": [{**one, **row} for one in frame.ike["proposals"]]}

    return changed(lambda frame: frame.kind is FrameKind.IKE and frame.ike.get("message") == message, ike=other)


def without_proposals(message):
    which = lambda frame: frame.kind is FrameKind.IKE and frame.ike.get("message") == message  # noqa: E731
    return changed(which, ike=lambda frame: {**frame.ike, "proposals": []})


def overloaded(text):
    return text.replace("list 1 pool plain", "list 1 pool plain overload")


def holding(protocol):
    return changed(is_esp, esp=lambda frame: {**frame.esp, "next_header": protocol})


def held_packet_crosses_twice(evidence):
    """The one that had to wait goes out early as well, under another number."""
    one = attempt(evidence, "default").went["west-2", "east-1"]
    esp = {**one.inside.esp, "sequence": 77}
    early = replace(one.inside, frame=9001, esp=esp), replace(one.outside, frame=9002, t=one.inside.t, esp=esp)
    seen = evidence.observations
    return replace(
        evidence,
        observations={
            **seen,
            Side.INSIDE: (*seen[Side.INSIDE], early[0]),
            Side.OUTSIDE: tuple(sorted((*seen[Side.OUTSIDE], early[1]), key=lambda frame: frame.t)),
        },
    )


def known_already(rows):
    return (replace(rows[0], inside_spi="0badcafe"), *rows[1:])


CASES = (
    passes("ESN-01", PLAIN),
    fails("ESN-01", PLAIN, "ESP that does not cross", never_out("plain", "west-2"), "west-2 to east-1 did not cross"),
    fails("ESN-01", PLAIN, "ESP that waits", held_back("plain", "west-1"), "west-1 to east-1 did not cross"),
    fails("ESN-01", PLAIN, "ESP in UDP", changed(outside_by_the_nat, sport=4500, dport=4500), "crossed in UDP"),
    fails("ESN-01", PLAIN, "an answer that is lost", gone("answers:plain", "west-1"), "the answer to 10.1.1.5 did not come"),
    fails("ESN-01", PLAIN, "an exchange that fails", gone("exchange:west-2:east-1", "east-1"), "did not come"),
    fails("ESN-01", PLAIN, "another's ESP", misgiven("west-1", "west-2", "answers:plain"), "which it has not chosen"),
    doubtful("ESN-01", PLAIN, "an overloaded address", reprinted("nat", RUNNING, "plain", text=overloaded), "no plain one"),
    doubtful("ESN-01", PLAIN, "half a configuration", reprinted("nat", RUNNING, "plain", text="hostname NAT"), "not whole"),
    doubtful("ESN-01", PLAIN, "one address for all", changed(outside_by_the_nat, src="203.0.113.232"), "an address"),
    doubtful("ESN-01", PLAIN, "nothing to cross", no_first("plain", "west-1"), "was not up"),
    doubtful("ESN-01", PLAIN, "a gateway that speaks early", spoken_early("plain"), "before it was to answer"),
    doubtful("ESN-01", PLAIN, "an unread quick mode", unread_quick_mode, "SPIs are not all known"),
    passes("ESN-02", DEFAULT, "passed both ways"),
    doubtful("ESN-02", DEFAULT, "not asked", not_done("exchange:west-1:east-1:alone"), "was not carried out"),
    doubtful("ESN-02", DEFAULT, "no table", unprinted("nat", TABLE), "was not asked"),
    doubtful("ESN-02", DEFAULT, "no ESP inside", without(is_esp, Side.INSIDE), "was not up"),
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
    passes("ESN-05", SCRIPT),
    fails("ESN-05", SCRIPT, "transport mode offered", quick_mode("QM1", encapsulation=2), "QM1 has encapsulation mode 2"),
    fails("ESN-05", SCRIPT, "transport mode chosen", quick_mode("QM2", encapsulation=2), "QM2 has encapsulation mode 2"),
    fails("ESN-05", SCRIPT, "ESP that holds UDP", holding(17), "holds protocol 17"),
    doubtful("ESN-05", SCRIPT, "unread QM1", without_proposals("QM1"), "no key opens a QM1"),
    doubtful("ESN-05", SCRIPT, "unread QM2", without_proposals("QM2"), "no key opens a QM2"),
    doubtful("ESN-05", SCRIPT, "unread ESP", holding(None), "no key opens any ESP"),
    passes("ESN-06", OLDER),
    fails("ESN-06", OLDER, "parallel with an older end", came("answers:older gateway"), "as if it matched SPIs"),
    fails(
        "ESN-06", OLDER, "another's ESP", misgiven("west-2", "west-1", "answers:complete"), "west-2 ESP with SPI"
    ),
    doubtful("ESN-06", OLDER, "a release that has it", reprinted("east-2", OFFER, "older", text=""), "no older one"),
    doubtful("ESN-06", OLDER, "no use either way", held_back("complete", "west-2"), "nor were tunnels set up"),
    doubtful("ESN-06", OLDER, "no tunnel with it", no_first("older gateway", "west-2", "east-2"), "was not up"),
    passes("ESN-07", DEFAULT),
    fails("ESN-07", DEFAULT, "nobody waits", let_through("default", "west-2"), "crossed before there was any reply"),
    fails("ESN-07", DEFAULT, "nothing crosses", held_back("default", "west-1"), "no ESP crossed at all"),
    fails("ESN-07", DEFAULT, "what waits is dropped", never_out("default", "west-2"), "was held, and never crossed"),
    fails("ESN-07", DEFAULT, "another packet crosses", held_packet_crosses_twice, "west-2 crossed before east-1 had replied"),
    fails("ESN-07", DEFAULT, "an SPI too early", reprinted("nat", TABLE, "default", rows=known_already), "0badcafe"),
    fails("ESN-07", DEFAULT, "dead after the reply", gone("exchange:west-2:east-1:default", "east-1"), "did not come"),
    doubtful("ESN-07", DEFAULT, "no reply ever", without(lambda frame: frame.src == "203.0.113.241"), "never replied"),
    doubtful("ESN-07", DEFAULT, "tunnels that were in use", used_before("default", "west-1"), "had been used"),
    doubtful("ESN-07", DEFAULT, "not asked afterwards", unasked(":default"), "asked whether it lives"),
    passes("ESN-10", DEFAULT),
    fails("ESN-10", DEFAULT, "parallel by chance", came("answers:NAT alone"), "served in parallel"),
    fails("ESN-10", DEFAULT, "another's ESP", misgiven("west-2", "west-1", "exchange:west-1:east-1:NAT alone"), "has not chosen"),
    doubtful(
        "ESN-10", DEFAULT, "dead alone too", gone("exchange:west-1:east-1:NAT alone", "west-1"), "nor does a tunnel work"
    ),
    doubtful("ESN-10", DEFAULT, "an unread quick mode", unread_quick_mode, "SPIs are not all known"),
)
