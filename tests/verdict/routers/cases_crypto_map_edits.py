"""What the checks of verdict/routers/crypto_map_edits say of sound evidence, of a fault's, and of bad evidence."""

from dataclasses import replace

from edits import both, changed, doubtful, fails, fields_of, in_trouble, not_done, passes, reprinted, without
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
    refused,
    to_east,
    unlabelled,
)

from harness.model import FrameKind
from harness.verdict.routers.crypto_map_world import EAST, WEST, WEST_HOST, host

RETYPED, EDITED = "map-retyped", "map-edited"
AH = {"protocol": 51, "ah": {"next_header": 50, "spi": "00000100", "sequence": 1, "esp_spi": "00000100"}}
OWN = ("west-1", "show crypto map")


def is_ah(frame):
    return frame.headers.get("protocol") == 51


def ah_with(**values):
    return lambda frame: {**frame.headers, "ah": {**frame.headers["ah"], **values}}


def ah_at(when, src, dst):
    from edits import with_frame

    return with_frame(when, FrameKind.OTHER, src, dst, headers=AH)


def other_spi(shown):
    return tuple(replace(row, sas=tuple(replace(sa, spi="00000101") for sa in row.sas)) for row in shown)


def one_more(shown):
    return (*shown, fields_of(shown[0], sequence=11))


def no_peer(shown):
    return tuple(fields_of(row, peers=()) if row.sequence == 10 else row for row in shown)


def with_ten(shown):
    return (fields_of(shown[0], sequence=10), *shown)


CASES = (
    passes("SEC-74", RETYPED),
    fails("SEC-74", RETYPED, "IKE has gone", less(in_step("as it was", is_ike("QM1"))), "does not serve"),
    fails("SEC-74", RETYPED, "by hand at once", ah_at(at("as it was"), WEST, EAST[1]), "uses AH"),
    fails("SEC-74", RETYPED, "nothing arrives", lost("as it was"), "arrived"),
    fails("SEC-74", RETYPED, "not taken anew", refused("anew", "crypto map vpn 10"), "refused"),
    fails("SEC-74", RETYPED, "no other kind after that", without(is_ah), "no AH"),
    doubtful("SEC-74", RETYPED, "not offered", unlabelled("over the other"), "was not asked"),
    doubtful("SEC-74", RETYPED, "not entered anew", unlabelled("anew"), "not given the entry"),
    doubtful("SEC-74", RETYPED, "not used before", not_done("as it was"), "not carried out"),
    passes("SEC-84", RETYPED),
    fails("SEC-84", RETYPED, "another SPI of AH", changed(is_ah, headers=ah_with(spi="0000abcd")), "SPI 0000abcd"),
    fails("SEC-84", RETYPED, "another SPI of ESP", changed(is_ah, headers=ah_with(esp_spi="0000abcd")), "ESP of SPI 0000abcd"),
    fails("SEC-84", RETYPED, "no ESP in AH", changed(is_ah, headers=ah_with(esp_spi=None)), "ESP of SPI None"),
    fails("SEC-84", RETYPED, "no AH back", without(lambda frame: is_ah(frame) and frame.src == EAST[1]), "no AH from east-1"),
    fails("SEC-84", RETYPED, "a refused key", refused("anew", "set session-key outbound ah"), "refused"),
    fails("SEC-84", RETYPED, "ESP alone", esp_at(at("by hand"), WEST, EAST[1], WEST_HOST, host(1)), "set by hand"),
    fails("SEC-84", RETYPED, "IKE", ike_at(at("by hand"), WEST, EAST[1]), "set by hand"),
    fails("SEC-84", RETYPED, "in the clear", clear_at(at("by hand"), host(1), WEST_HOST), "set by hand"),
    fails("SEC-84", RETYPED, "nothing arrives", lost("by hand"), "did not arrive"),
    fails("SEC-84", RETYPED, "another SPI shown",
          reprinted("east-1", "show crypto ipsec sa", "by hand", rows=other_spi), "00000101"),
    doubtful("SEC-84", RETYPED, "no keys", unlabelled("anew"), "four session keys"),
    doubtful("SEC-84", RETYPED, "nothing sent", nothing_sent("by hand"), "no host sent"),
    passes("SEC-86", EDITED),
    fails("SEC-86", EDITED, "refused", refused("no keyword", "crypto map vpn 10"), "refused"),
    fails("SEC-86", EDITED, "the old transform", other(in_step("edited", to_east(1)), esp=cipher("aes-128")), "not 3des"),
    fails("SEC-86", EDITED, "the other entry is changed too", other(in_step("edited", to_east(2)), esp=cipher("3des")), "not aes"),
    fails("SEC-86", EDITED, "its flow is lost", less(in_step("edited", to_east(1))), "no ESP"),
    fails("SEC-86", EDITED, "its flow in the clear", clear_at(at("edited"), WEST_HOST, host(1)), "in the clear"),
    fails("SEC-86", EDITED, "an entry more", reprinted(*OWN, "edited", rows=one_more), "it had"),
    fails("SEC-86", EDITED, "its peer is lost", reprinted(*OWN, "edited", rows=no_peer), "another peer"),
    doubtful("SEC-86", EDITED, "not edited", unlabelled("no keyword"), "nothing was edited"),
    doubtful("SEC-86", EDITED, "no exchange after it", not_done("edited"), "not carried out"),
    passes("SEC-87", EDITED),
    fails("SEC-87", EDITED, "ESP all the same",
          esp_at(at("removed"), WEST, EAST[1], WEST_HOST, host(1)), "went in ESP"),
    fails("SEC-87", EDITED, "dropped", without(between(WEST_HOST, host(1))), "did not go in the clear"),
    fails("SEC-87", EDITED, "its peer is asked", ike_at(at("removed"), WEST, EAST[1]), "asked the removed"),
    fails("SEC-87", EDITED, "the other entry is gone too",
          both(less(in_step("exchange:west-1:east-2", to_east(2), 2)),
               clear_at(at("exchange:west-1:east-2", 2), WEST_HOST, host(2))), "in the clear"),
    fails("SEC-87", EDITED, "refused", refused("removed", "no crypto map"), "refused"),
    fails("SEC-87", EDITED, "still shown", reprinted(*OWN, "removed", rows=with_ten), "still shows"),
    doubtful("SEC-87", EDITED, "not removed", unlabelled("removed"), "nothing was removed"),
    doubtful("SEC-87", EDITED, "nothing sent", nothing_sent("removed"), "sent nothing"),
    doubtful("SEC-87", EDITED, "never protected", less(in_step("edited", to_east(1))), "protected nothing before"),
    doubtful("SEC-87", EDITED, "trouble", in_trouble, "half up"),
)  # fmt: skip
