"""What the checks of verdict/routers/esp_matching say of sound evidence, of a fault's, and of bad evidence."""

from dataclasses import replace

from edits import (
    both,
    changed,
    doubtful,
    fails,
    in_trouble,
    no_capture,
    not_done,
    passes,
    reprinted,
    unprinted,
    with_frame,
    without,
)
from esp_edits import (
    encrypted,
    gone,
    held_back,
    is_esp,
    let_through,
    misgiven,
    never_out,
    no_first,
    spoken_early,
    without_keys,
)

from harness.model import FrameKind, Side, Told
from harness.verdict.routers.esp_reading import attempt, crossings, endpoint, inbound
from harness.verdict.routers.reading import step

BOTH, LISTED, PAIRS, REKEYS = "esp-endpoints-then-nat", "esp-two-of-three", "esp-every-pair", "esp-rekeys"
CLASH, UNMATCHED = "esp-clash", "esp-clash-unmatched"
TABLE = "show ip nat translations esp"


def half_open(rows):
    """The entries as they are before a reply where nothing is matched."""
    return tuple(row for row in rows if row.inside_spi is None)


def other_spis(rows):
    return tuple(replace(row, inside_spi=row.inside_spi and "0badcafe") for row in rows)


def answers_not_given(label):
    """No ESP that the gateways answered with comes out inside."""

    def edit(evidence):
        since = step(evidence, f"answers:{label}").began
        return without(lambda frame: is_esp(frame) and frame.t > since and frame.src.startswith("203."), Side.INSIDE)(evidence)

    return edit


def one_alone(label):
    """As if but one tunnel had begun."""

    def edit(evidence):
        def less(one):
            if one.name != f"first-packets:{label}":
                return one
            return replace(one, detail={**one.detail, "pairs": one.detail["pairs"][:1]})

        return replace(evidence, steps=tuple(map(less, evidence.steps)))

    return edit


def two_seconds_apart(evidence):
    tried = attempt(evidence, "matched")
    late = tried.went["west-2", "east-1"].inside
    return changed(lambda frame: frame is late, Side.INSIDE, t=tried.asked.began + 1.5)(evidence)


def lost_in_rekeying(evidence):
    during = step(evidence, "rekeying")
    number = max(one.data["number"] for one in evidence.told if one.kind == "got" and one.t < during.ended)
    kept = tuple(one for one in evidence.told if not (one.kind == "got" and one.data["number"] == number))
    return replace(evidence, told=kept)


def new_spi_waits(evidence):
    """The first packet of the last SPI crosses six seconds late, after a reply."""
    found = crossings(evidence, "west-1", "east-1")
    newest = found[-1].inside.esp["spi"]
    one = next(one for one in found if one.inside.esp["spi"] == newest)
    return changed(lambda frame: frame is one.outside, t=one.inside.t + 6.0)(evidence)


def gateway_first(after_s=-0.4, orphan=True):
    """The gateway has sent by the new SA, to a host that never heard of it: by default before the endpoint inside has."""

    def edit(evidence):
        newest = crossings(evidence, "west-1", "east-1")[-1].inside.esp["spi"]
        first = next(one for one in crossings(evidence, "west-1", "east-1") if one.inside.esp["spi"] == newest).inside
        at, gateway = first.t + after_s, endpoint(evidence, "east-1")
        data = {"number": 9999, "src": "10.2.1.5", "dst": "10.1.1.5", "size": 60}
        told = tuple(sorted((*evidence.told, Told(at, "host of east-1", "sent", data)), key=lambda one: one.t))
        evidence = replace(evidence, told=told)
        if not orphan:
            return evidence
        esp = {"spi": "0bad0001", "sequence": 1}
        return with_frame(lambda _: at + 0.001, FrameKind.ESP, gateway, evidence.nat_outside, esp=esp)(evidence)

    return edit


def never_rekeyed(evidence):
    alike = changed(is_esp, Side.INSIDE, esp=lambda frame: {**frame.esp, "spi": "00001234"})(evidence)
    return changed(is_esp, esp=lambda frame: {**frame.esp, "spi": "00001234"})(alike)


def another_choice(evidence):
    """The second chose another SPI at once."""

    def other(frame):
        return {**frame.ike, "proposals": [{**row, "spi": "00abcdef"} for row in frame.ike["proposals"]]}

    second = endpoint(evidence, "west-2")
    which = lambda frame: frame.kind is FrameKind.IKE and frame.src == second and frame.ike.get("proposals")  # noqa: E731
    return changed(which, Side.INSIDE, ike=other)(evidence)


def both_served(evidence):
    """The second gets ESP by the SPI of the first as well, which no key opens."""
    (frame, *_) = inbound(evidence, "west-1", "east-1", since=step(evidence, "exchange:west-1:east-1:after 2").began)
    closed = {**frame.esp, "next_header": None}
    closed.pop("inner_dst")
    return changed(lambda one: one is frame, Side.INSIDE, dst=endpoint(evidence, "west-2"), esp=closed)(evidence)


def anothers_content(evidence):
    which = lambda frame: is_esp(frame) and frame.dst == endpoint(evidence, "west-1")  # noqa: E731
    return changed(which, Side.INSIDE, esp=lambda frame: {**frame.esp, "inner_dst": "10.1.2.5"})(evidence)


def nobody_served(evidence):
    which = lambda frame: is_esp(frame) and frame.esp["spi"] == "28726cd9"  # noqa: E731
    return without(which, Side.INSIDE)(evidence)


def taken_over(evidence):
    """What the gateway sends once the SPI was borrowed is given to the second."""
    at = step(evidence, "exchange:east-1:west-1:after the forged one")
    which = lambda frame: is_esp(frame) and frame.src.startswith("203.") and at.began <= frame.t <= at.ended  # noqa: E731
    return changed(which, Side.INSIDE, dst=endpoint(evidence, "west-2"))(evidence)


def not_asked_again(evidence):
    return replace(evidence, steps=tuple(one for one in evidence.steps if ":after " not in one.name))


def clash_cases(script):
    return (
        passes("ESN-16", script, "one alone was served"),
        fails("ESN-16", script, "the first one dies", gone("exchange:west-1:east-1:after 2", "east-1"), "lost after the clash"),
        fails("ESN-16", script, "both are served", both_served, "west-1 and west-2"),
        fails("ESN-16", script, "what is for another", anothers_content, "west-1 was given ESP that is for 10.1.2.5"),
        fails("ESN-16", script, "taken over", taken_over, "west-1 and west-2"),
        fails("ESN-16", script, "lost once it was borrowed",
              gone("exchange:east-1:west-1:after the forged one", "west-1"), "lost after the clash"),
        fails("ESN-16", script, "nobody is served", nobody_served, "went to nobody"),
        doubtful("ESN-16", script, "no clash", another_choice, "did not choose the same SPI"),
        doubtful("ESN-16", script, "nothing forged", not_done("inject:ESP with another's SPI"), "not carried out"),
        doubtful("ESN-16", script, "not asked afterwards", not_asked_again, "was not asked afterwards"),
    )  # fmt: skip


CASES = (
    passes("ESN-08", BOTH),
    fails("ESN-08", BOTH, "ESP that waits", held_back("matched", "west-2"), "west-2 to east-1 did not cross before"),
    fails("ESN-08", BOTH, "half an entry", reprinted("nat", TABLE, "matched", rows=half_open), "had inbound SPI none"),
    fails("ESN-08", BOTH, "a wrong entry", reprinted("nat", TABLE, "matched", rows=other_spis), "had inbound SPI 0badcafe"),
    fails("ESN-08", BOTH, "an answer that is lost", answers_not_given("matched"), "did not come to west-1"),
    doubtful("ESN-08", BOTH, "no table", unprinted("nat", TABLE), "was not asked"),
    doubtful("ESN-08", BOTH, "a table half understood", reprinted("nat", TABLE, "matched", unread=("?",)), "not wholly understood"),
    doubtful("ESN-08", BOTH, "a gateway that speaks early", spoken_early("matched"), "before it was to answer"),
    passes("ESN-09", LISTED),
    fails("ESN-09", LISTED, "the unlisted one at once", let_through("listed", "west-2"), "does not permit it"),
    fails("ESN-09", LISTED, "a listed one that waits", held_back("listed", "west-3"), "west-3 to east-1 did not cross"),
    fails("ESN-09", LISTED, "the unlisted one never", gone("exchange:west-2:east-1:listed", "east-1"), "did not come"),
    fails("ESN-09", LISTED, "what waits is dropped", never_out("listed", "west-2"), "was held, and never crossed"),
    fails("ESN-09", LISTED, "another's ESP", misgiven("west-3", "west-2", "answers:listed"), "which it has not chosen"),
    doubtful("ESN-09", LISTED, "no reply ever", without(lambda frame: frame.src == "203.0.113.241"), "never replied"),
    doubtful("ESN-09", LISTED, "its tunnel was not up", no_first("listed", "west-2"), "was not up"),
    doubtful("ESN-09", LISTED, "nobody beside the list", one_alone("listed"), "nobody beside the list"),
    passes("ESN-11", BOTH),
    fails("ESN-11", BOTH, "nobody waits", let_through("endpoints alone", "west-2"), "without SPI matching on the NAT"),
    fails("ESN-11", BOTH, "dead alone", gone("exchange:west-2:east-1:endpoints alone", "west-2"), "did not come"),
    doubtful("ESN-11", BOTH, "no use either way", held_back("matched", "west-1"), "nor are these endpoints"),
    doubtful("ESN-11", BOTH, "not tried", not_done("first-packets:endpoints alone"), "was not carried out"),
    passes("ESN-12", BOTH),
    fails("ESN-12", BOTH, "nobody waits without", let_through("endpoints alone", "west-2"), "nobody had to wait"),
    fails("ESN-12", BOTH, "the second waits with it", never_out("matched", "west-2"), "west-2 to east-1 did not cross"),
    fails("ESN-12", BOTH, "an answer that is lost", gone("answers:matched", "west-2"), "the answer to 10.1.2.5 did not come"),
    doubtful("ESN-12", BOTH, "not in one second", two_seconds_apart, "not begin in one second"),
    doubtful("ESN-12", BOTH, "one alone", one_alone("matched"), "fewer than two"),
    doubtful("ESN-12", BOTH, "no capture inside", no_capture(Side.INSIDE), "no inside capture"),
    passes("ESN-13", PAIRS),
    fails("ESN-13", PAIRS, "one that waits", held_back("every pair", "west-3", "east-2"), "west-3 to east-2 did not cross"),
    fails("ESN-13", PAIRS, "an answer that is lost", gone("answers:every pair", "west-2"), "to 10.1.2.5 did not come"),
    fails("ESN-13", PAIRS, "an exchange that fails", gone("exchange:west-1:east-2", "east-2"), "10.2.2.5 did not come"),
    fails("ESN-13", PAIRS, "another's ESP", misgiven("west-1", "west-3", "answers:every pair", "east-2"), "has not chosen"),
    replace(passes("ESN-13", PAIRS), name="where nobody has keys", edit=without_keys),
    fails("ESN-13", PAIRS, "another's packet, without keys",
          both(misgiven("west-1", "west-3", "answers:every pair", "east-2"), without_keys), "holds a packet for 10.1.3.5"),
    doubtful("ESN-13", PAIRS, "neither keys nor a look into ESP", both(without_keys, encrypted), "no key opens a quick mode"),
    doubtful("ESN-13", PAIRS, "one pair", one_alone("every pair"), "not each of several"),
    passes("ESN-14", PAIRS),
    fails("ESN-14", PAIRS, "SPIs of chance", reprinted("nat", TABLE, "every pair", rows=other_spis), "expected 0badcafe"),
    fails("ESN-14", PAIRS, "nothing foretold", reprinted("nat", TABLE, "every pair", rows=half_open), "expected none"),
    fails("ESN-14", PAIRS, "an answer that is lost", answers_not_given("every pair"), "did not come to west-1"),
    doubtful("ESN-14", PAIRS, "one pair", one_alone("every pair"), "one pair of SPIs"),
    passes("ESN-15", REKEYS),
    fails("ESN-15", REKEYS, "a packet that is lost", lost_in_rekeying, "was lost"),
    fails("ESN-15", REKEYS, "a new SPI that waits", new_spi_waits, "waited for a reply"),
    replace(passes("ESN-15", REKEYS), name="a gateway that is the first", edit=gateway_first()),
    fails("ESN-15", REKEYS, "a gateway that is the second", gateway_first(after_s=0.5), "packet 9999 of host of east-1"),
    fails("ESN-15", REKEYS, "lost before the NAT", gateway_first(orphan=False), "packet 9999 of host of east-1"),
    doubtful("ESN-15", REKEYS, "no rekey", never_rekeyed, "did not rekey"),
    doubtful("ESN-15", REKEYS, "trouble", in_trouble, "half up"),
    *clash_cases(CLASH),
    *clash_cases(UNMATCHED),
)  # fmt: skip
