"""What the checks of verdict/routers/crypto_map_negotiation say of sound evidence, of a fault's, and of bad evidence."""

from edits import both, changed, doubtful, fails, fields_of, lossy, not_done, passes, reprinted, without
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

from harness.model import FrameKind
from harness.verdict.routers.crypto_map_world import EAST, WEST, WEST_HOST, host

PEERS, NEGOTIATION, DISCOVERY, VOLUME = "map-peers", "map-negotiation", "map-discovery", "map-volume"
SHOW = ("east-1", "show crypto map")
WIDER = [
    {"type": "ID_IPV4_ADDR_SUBNET", "value": "10.1.0.0/255.255.0.0", "protocol": 0, "port": 0},
    {"type": "ID_IPV4_ADDR_SUBNET", "value": "10.2.0.0/255.255.0.0", "protocol": 0, "port": 0},
]


def went_on(number):
    return f"down:east-{number}"


def temporary_with(**values):
    return lambda shown: tuple(fields_of(row, **values) if row.peers else row for row in shown)


def still_shown(evidence):
    """What was shown while the SAs were up is shown afterwards."""
    up = next(one for one in evidence.printed if (one.device, one.command, one.label) == (*SHOW, "up"))
    return reprinted(*SHOW, "ended", rows=up.rows)(evidence)


def is_delete(frame):
    return bool((frame.ike or {}).get("deletes"))


def arrives_behind(number):
    def edit(evidence):
        from dataclasses import replace

        from harness.model import Told

        t = at(f"bring-up:west-1:east-{number}")(evidence)
        told = Told(t, f"host of east-{number}", "got", {"number": 999, "src": WEST_HOST, "dst": host(number)})
        return replace(evidence, told=(*evidence.told, told))

    return edit


def proposing(**values):
    """West-1's proposals, otherwise."""
    other_rows = lambda frame: {**frame.ike, "proposals": [{**row, **values} for row in frame.ike["proposals"]]}  # noqa: E731
    return changed(is_ike("QM1", src=WEST), ike=other_rows)


def one_spi(frame):
    return {**frame.esp, "spi": "00001234"}


CASES = (
    passes("SEC-78", PEERS),
    fails("SEC-78", PEERS, "the second is never used", less(in_step(went_on(1), to_east(1))), "nothing went to east-2"),
    fails("SEC-78", PEERS, "it does not go back", less(in_step(went_on(2), to_east(1))), "nothing went to east-1"),
    fails("SEC-78", PEERS, "to the one that is cut off",
          other(in_step(went_on(1), to_east(1)), dst=EAST[1]), "nothing went to east-2"),
    fails("SEC-78", PEERS, "in the clear", clear_at(at(went_on(1)), WEST_HOST, host(1)), "in the clear"),
    fails("SEC-78", PEERS, "nothing arrives", lost(went_on(1)), "arrived behind east-2"),
    doubtful("SEC-78", PEERS, "nothing sent", nothing_sent(went_on(2)), "sent nothing"),
    doubtful("SEC-78", PEERS, "never cut off", not_done(went_on(2)), "not carried out"),
    doubtful("SEC-78", PEERS, "a capture with gaps", lossy(), "lost 3 frames"),
    passes("SEC-79", NEGOTIATION),
    fails("SEC-79", NEGOTIATION, "3des where aes is taken", changed(to_east(1), esp=cipher("3des")), "with east-1"),
    fails("SEC-79", NEGOTIATION, "aes where 3des is taken, back", changed(to_west(2), esp=cipher("aes-128")), "with east-2"),
    fails("SEC-79", NEGOTIATION, "the second set never", both(without(to_east(2)), without(to_west(2))), f"went to {EAST[2]}"),
    doubtful("SEC-79", NEGOTIATION, "no second peer", not_done("bring-up:west-1:east-2"), "not carried out"),
    passes("SEC-80", NEGOTIATION),
    fails("SEC-80", NEGOTIATION, "not granted", without(is_ike("QM2", src=EAST[1])), "granted nothing"),
    fails("SEC-80", NEGOTIATION, "a wider flow",
          changed(is_ike("QM2", src=EAST[1]), ike=lambda frame: {**frame.ike, "ids": WIDER}), "another flow"),
    fails("SEC-80", NEGOTIATION, "no ESP back", without(to_west(1)), "no ESP came"),
    fails("SEC-80", NEGOTIATION, "no temporary entry", reprinted(*SHOW, "up", rows=lambda shown: shown[:1]), "no temporary entry"),
    fails("SEC-80", NEGOTIATION, "a temporary entry of another flow",
          reprinted(*SHOW, "up", rows=temporary_with(permits=("permit ip 10.2.0.0 0.0.255.255 10.1.0.0 0.0.255.255",))),
          "asked for"),
    fails("SEC-80", NEGOTIATION, "a temporary entry of no flow",
          reprinted(*SHOW, "up", rows=temporary_with(permits=())), "asked for"),
    doubtful("SEC-80", NEGOTIATION, "it began itself", ike_at(at("bring-up:west-1:east-1"), EAST[1], WEST), "began itself"),
    doubtful("SEC-80", NEGOTIATION, "nothing asked", without(is_ike("QM1", src=WEST, dst=EAST[1])), "asked east-1 for nothing"),
    doubtful("SEC-80", NEGOTIATION, "output half read", reprinted(*SHOW, "up", unread=("a line",)), "not wholly understood"),
    passes("SEC-81", NEGOTIATION),
    *(
        fails("SEC-81", NEGOTIATION, f"east-{number} grants",
              ike_at(at(f"bring-up:west-1:east-{number}"), EAST[number], WEST, "QM2"), f"east-{number} granted")
        for number in (3, 4)
    ),
    fails("SEC-81", NEGOTIATION, "ESP", esp_at(at("bring-up:west-1:east-4"), WEST, EAST[4], WEST_HOST, host(4)), "ESP with east-4"),
    fails("SEC-81", NEGOTIATION, "a packet behind it", arrives_behind(3), "behind east-3"),
    doubtful("SEC-81", NEGOTIATION, "no phase 1", without(is_ike("MM6", src=EAST[3])), "phase 1"),
    doubtful("SEC-81", NEGOTIATION, "nothing asked", without(is_ike("QM1", dst=EAST[4])), "asked for nothing"),
    doubtful("SEC-81", NEGOTIATION, "nobody grants anything", without(is_ike("QM2", src=EAST[1])), "by nobody"),
    passes("SEC-82", NEGOTIATION),
    fails("SEC-82", NEGOTIATION, "the peer is still known", ike_at(at("ended"), EAST[1], WEST), "as if it knew it"),
    fails("SEC-82", NEGOTIATION, "ESP without an SA", esp_at(at("ended"), EAST[1], WEST, host(1), WEST_HOST), "though its SAs"),
    fails("SEC-82", NEGOTIATION, "the list is forgotten too", clear_at(at("ended"), host(1), WEST_HOST), "in the clear"),
    fails("SEC-82", NEGOTIATION, "the flow is still held", without(between(host(2), WEST_HOST)), "still held"),
    fails("SEC-82", NEGOTIATION, "still shown", still_shown, "still shows"),
    doubtful("SEC-82", NEGOTIATION, "no Delete", without(is_delete), "did not say"),
    doubtful("SEC-82", NEGOTIATION, "never an SA", less(in_step("exchange:west-1:east-2", to_west(2))), "never had"),
    doubtful("SEC-82", NEGOTIATION, "nothing sent", nothing_sent("ended"), "sent nothing"),
    doubtful("SEC-82", NEGOTIATION, "it comes up no more", not_done("exchange:west-1:east-2:again"), "not carried out"),
    passes("SEC-83", DISCOVERY),
    fails("SEC-83", DISCOVERY, "asked without the keyword",
          ike_at(at("not to discover"), WEST_HOST, host(1), None), "not to be discovered"),
    fails("SEC-83", DISCOVERY, "in the clear without it",
          clear_at(at("not to discover"), WEST_HOST, host(1)), "not to be discovered"),
    fails("SEC-83", DISCOVERY, "nobody is found", without(is_ike("MM1")), "began IKE with nobody"),
    fails("SEC-83", DISCOVERY, "somebody else", ike_at(at("to discover"), WEST, EAST[3]), "not the peer"),
    fails("SEC-83", DISCOVERY, "nothing protected", without(lambda frame: frame.kind is FrameKind.ESP), "no ESP"),
    doubtful("SEC-83", DISCOVERY, "nothing sent", nothing_sent("not to discover"), "sent nothing"),
    doubtful("SEC-83", DISCOVERY, "never with the keyword", not_done("to discover"), "not carried out"),
    passes("SEC-24", VOLUME),
    fails("SEC-24", VOLUME, "another limit", proposing(lifetime_kb=4608000), "proposed 4608000"),
    fails("SEC-24", VOLUME, "no limit", proposing(lifetime_kb=None), "proposed None"),
    fails("SEC-24", VOLUME, "one SA for all", changed(to_east(1), esp=one_spi), "no other took its place"),
    fails("SEC-24", VOLUME, "more than it may", changed(to_east(1), esp=one_spi), "SA 00001234 carried"),
    fails("SEC-24", VOLUME, "a packet that is lost", lost("volume"), "was lost"),
    doubtful("SEC-24", VOLUME, "too little", changed(to_east(1), length=200), "too little to end one"),
    doubtful("SEC-24", VOLUME, "a short life", proposing(lifetime_s=120), "for its time"),
    doubtful("SEC-24", VOLUME, "nothing asked", without(is_ike("QM1")), "asked for no SA"),
    doubtful("SEC-24", VOLUME, "not carried out", not_done("volume"), "not carried out"),
)  # fmt: skip
