"""What the checks of verdict/routers/crypto_maps say of sound evidence, of a fault's, and of bad evidence."""

from dataclasses import replace

from edits import both, changed, doubtful, fails, in_trouble, no_capture, not_done, passes, without
from map_edits import (
    at,
    between,
    cipher,
    clear_at,
    esp_at,
    ike_at,
    in_step,
    is_ike,
    less,
    lost,
    nothing_sent,
    other,
    to_east,
    to_west,
)

from harness.model import FrameKind, Told
from harness.verdict.routers.crypto_map_world import EAST, ELSEWHERE, WEST, WEST_HOST, host

BY_NUMBER, FIRST, TRAFFIC = "map-by-number", "map-dynamic-first", "map-traffic"


def bring_up(number):
    return f"bring-up:west-1:east-{number}"


def exchange(number, label=""):
    return f"exchange:west-1:east-{number}{label and f':{label}'}"


def let_in(what):
    """What was slipped in comes out behind the endpoint."""

    def edit(evidence):
        slipped = next(one for one in evidence.told if one.kind == "injected" and one.data["what"] == what)
        data = {key: slipped.data[key] for key in ("number", "src", "dst")}
        got = Told(slipped.t + 0.1, f"host of {what.split()[2]}", "got", data)
        return replace(evidence, told=(*evidence.told, got))

    return edit


def kept_out(what):
    def edit(evidence):
        number = next(one.data["number"] for one in evidence.told if one.kind == "injected" and one.data["what"] == what)
        kept = tuple(one for one in evidence.told if not (one.kind == "got" and one.data["number"] == number))
        assert len(kept) < len(evidence.told)
        return replace(evidence, told=kept)

    return edit


def not_slipped(evidence):
    return replace(evidence, told=tuple(one for one in evidence.told if one.kind != "injected"))


def forged_frame(frame):
    return (frame.kind, frame.src, frame.dst) == (FrameKind.OTHER, host(1), WEST_HOST)


def sealed(frame):
    return frame.kind is FrameKind.ESP


def offering(*kinds):
    return lambda frame: {**frame.ike, "proposals": [row for row in frame.ike["proposals"] if row["encryption"] in kinds]}


def not_decrypted(frame):
    return {"spi": frame.esp["spi"], "sequence": 1, "icv_ok": None}


ORDER = (
    passes("SEC-70", BY_NUMBER),
    fails("SEC-70", BY_NUMBER, "ESP at entry 20's peer", changed(to_east(1), dst=EAST[2]), EAST[2]),
    fails("SEC-70", BY_NUMBER, "entry 30's peer is asked", ike_at(at(bring_up(1)), WEST, EAST[3]), f"{EAST[3]} was asked"),
    fails("SEC-70", BY_NUMBER, "a packet in the clear", clear_at(at(bring_up(1)), WEST_HOST, host(1)), "in the clear"),
    fails("SEC-70", BY_NUMBER, "nothing protected", without(to_east(1)), "no ESP"),
    fails("SEC-70", BY_NUMBER, "nothing comes back", without(to_west(1)), "no ESP came"),
    fails("SEC-70", BY_NUMBER, "nothing arrives", both(lost(bring_up(1)), lost(exchange(1))), "arrived"),
    doubtful("SEC-70", BY_NUMBER, "no packet", not_done(bring_up(1)), "not carried out"),
    doubtful("SEC-70", BY_NUMBER, "nothing sent", both(nothing_sent(bring_up(1)), nothing_sent(exchange(1))), "no host sent"),
    doubtful("SEC-70", BY_NUMBER, "ESP that is not open", changed(sealed, esp=not_decrypted), "no key"),
    passes("SEC-71", BY_NUMBER),
    fails("SEC-71", BY_NUMBER, "the second at entry 10's peer", changed(to_east(2), dst=EAST[1]), EAST[1]),
    fails("SEC-71", BY_NUMBER, "the third at entry 20's peer", changed(to_east(3), dst=EAST[2]), EAST[2]),
    fails("SEC-71", BY_NUMBER, "the third in the clear", clear_at(at(exchange(3)), WEST_HOST, host(3)), "in the clear"),
    doubtful("SEC-71", BY_NUMBER, "no packet for 30", not_done(exchange(3)), "not carried out"),
    passes("SEC-72", BY_NUMBER),
    fails("SEC-72", BY_NUMBER, "it is not on the wire", without(between(WEST_HOST, host(4))), "left west-1"),
    fails("SEC-72", BY_NUMBER, "in ESP", esp_at(at(exchange(4)), WEST, EAST[3], WEST_HOST, host(4)), "in ESP"),
    fails("SEC-72", BY_NUMBER, "it does not arrive", lost(exchange(4)), "did not arrive"),
    doubtful("SEC-72", BY_NUMBER, "nothing is protected", without(sealed), "nothing at all"),
    doubtful("SEC-72", BY_NUMBER, "no packet", nothing_sent(exchange(4)), "no host sent"),
    passes("SEC-73", FIRST),
    fails("SEC-73", FIRST, "the static entry asks", ike_at(at("asked:first"), EAST[1], WEST), "by the static entry"),
    fails("SEC-73", FIRST, "ESP by the static entry",
          esp_at(at("asked:first"), EAST[1], WEST, host(1), WEST_HOST), "by the static"),
    fails("SEC-73", FIRST, "the static entry's transform",
          other(in_step("offered:first", to_east(1)), esp=cipher("aes-128")), "what the dynamic entry takes"),
    fails("SEC-73", FIRST, "the dynamic entry's transform, though it is last",
          other(in_step("offered:last", to_east(1)), esp=cipher("3des")), "what the static entry takes"),
    fails("SEC-73", FIRST, "nobody asked in the end",
          less(in_step("asked:last", is_ike("MM1", "QM1", src=EAST[1]))), "asked nobody"),
    doubtful("SEC-73", FIRST, "one transform alone offered",
          changed(is_ike("QM1", src=WEST), ike=offering("3des")), "did not offer"),
    doubtful("SEC-73", FIRST, "nothing sent", nothing_sent("asked:first"), "sent nothing"),
    doubtful("SEC-73", FIRST, "never moved", not_done("asked:last"), "not carried out"),
)  # fmt: skip

FILTER = (
    passes("SEC-75", TRAFFIC),
    *(
        fails("SEC-75", TRAFFIC, f"it comes in at {end} {when}", let_in(f"ours to {end} {when}"), f"{end} let in")
        for end in ("west-1", "east-1")
        for when in ("before", "after")
    ),
    doubtful("SEC-75", TRAFFIC, "nothing comes in", kept_out("nobody's to east-1 after"), "let nothing in"),
    doubtful("SEC-75", TRAFFIC, "nothing slipped in", not_slipped, "slipped in"),
    doubtful("SEC-75", TRAFFIC, "not on the wire", without(forged_frame), "not on the wire"),
    doubtful("SEC-75", TRAFFIC, "no ESP arrives", lost(exchange(1, "again")), "did not arrive either"),
    passes("SEC-76", TRAFFIC),
    fails("SEC-76", TRAFFIC, "in the clear", clear_at(at("dynamic without an SA"), host(1), WEST_HOST), "in the clear"),
    fails("SEC-76", TRAFFIC, "IKE begins", ike_at(at("dynamic without an SA"), EAST[1], WEST), "ike left east-1"),
    fails("SEC-76", TRAFFIC, "ESP", esp_at(at("dynamic without an SA"), EAST[1], WEST, host(1), WEST_HOST), "esp left east-1"),
    doubtful("SEC-76", TRAFFIC, "nothing leaves at all", without(between(host(1), ELSEWHERE)), "did not leave"),
    doubtful("SEC-76", TRAFFIC, "nothing leaves with an SA", without(to_west(1)), "with an SA"),
    doubtful("SEC-76", TRAFFIC, "nothing sent", nothing_sent("dynamic without an SA"), "sent nothing"),
    passes("SEC-77", TRAFFIC),
    fails("SEC-77", TRAFFIC, "IKE sleeps", less(in_step("static without an SA", is_ike("MM1"))), "did not begin"),
    fails("SEC-77", TRAFFIC, "with somebody else", ike_at(at("static without an SA"), WEST, EAST[3]), f"with {EAST[3]}"),
    fails("SEC-77", TRAFFIC, "no SAs", less(in_step("static without an SA", is_ike("QM3"))), "no SAs"),
    fails("SEC-77", TRAFFIC, "in the clear", clear_at(at("static without an SA"), WEST_HOST, host(1)), "in the clear"),
    fails("SEC-77", TRAFFIC, "no ESP after it", less(in_step(exchange(1), to_east(1))), "no ESP"),
    doubtful("SEC-77", TRAFFIC, "IKE before it", ike_at(at("dynamic without an SA"), WEST, EAST[1]), "before"),
    doubtful("SEC-77", TRAFFIC, "nothing sent", nothing_sent("static without an SA"), "sent nothing"),
    doubtful("SEC-77", TRAFFIC, "no capture", no_capture(), "no outside capture"),
    doubtful("SEC-77", TRAFFIC, "trouble", in_trouble, "half up"),
)

CASES = (*ORDER, *FILTER)
