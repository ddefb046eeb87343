"""Edits that the cases on crypto maps share."""

from dataclasses import replace

from edits import changed, with_frame, without

from harness.model import FrameKind
from harness.verdict.routers.crypto_map_world import WEST_HOST, during, host
from harness.verdict.routers.reading import step

WITHIN_S = 0.002
"""After the beginning of a step: before it ends, however short it is."""


def at(name, number=0):
    """A moment in a step."""
    return lambda evidence: step(evidence, name, number).began + WITHIN_S


def esp(src, dst, encryption="aes-128"):
    return {"spi": "00001234", "sequence": 1, "icv_ok": True, "encryption": encryption, "next_header": 4,
            "inner_src": src, "inner_dst": dst}  # fmt: skip


def esp_at(when, src, dst, inner_src, inner_dst):
    """One ESP packet more."""
    return with_frame(when, FrameKind.ESP, src, dst, esp=esp(inner_src, inner_dst))


def clear_at(when, src, dst):
    """One packet of a host's more, in the clear."""
    return with_frame(when, FrameKind.OTHER, src, dst, sport=9000, dport=9001, headers={"protocol": 17})


def ike_at(when, src, dst, message="MM1", **facts):
    return with_frame(when, FrameKind.IKE, src, dst, sport=500, dport=500, ike={"message": message, "encrypted": False, **facts})


def holds(frame, src, dst):
    """Whether it is ESP with a packet from host to host."""
    return frame.esp is not None and (frame.esp.get("inner_src"), frame.esp.get("inner_dst")) == (src, dst)


def between(src, dst):
    """Packets of hosts in the clear."""
    return lambda frame: (frame.kind, frame.src, frame.dst) == (FrameKind.OTHER, src, dst)


def to_east(number):
    return lambda frame: holds(frame, WEST_HOST, host(number))


def to_west(number):
    return lambda frame: holds(frame, host(number), WEST_HOST)


def is_ike(*messages, src="", dst=""):
    def which(frame):
        named = frame.ike is not None and frame.ike.get("message") in messages
        return named and src in ("", frame.src) and dst in ("", frame.dst)

    return which


def in_step(name, which, number=0, last=""):
    """Those of a step, or of all until the end of another."""

    def frames_of(evidence):
        span = during(step(evidence, name, number), step(evidence, last) if last else None)
        return lambda frame: span["since"] <= frame.t <= span["until"] and which(frame)

    return frames_of


def less(which_of):
    """Without the frames that `in_step` names."""
    return lambda evidence: without(which_of(evidence))(evidence)


def other(which_of, **fields):
    return lambda evidence: changed(which_of(evidence), **fields)(evidence)


def cipher(name):
    return lambda frame: {**frame.esp, "encryption": name}


def lost(name, who="", number=0):
    """What was got in a step, by that one's host or by any, was not."""

    def edit(evidence):
        span = during(step(evidence, name, number))

        def gone(one):
            return one.kind == "got" and span["since"] <= one.t <= span["until"] and who in ("", one.who)

        assert any(map(gone, evidence.told)), "nothing was got there"
        return replace(evidence, told=tuple(one for one in evidence.told if not gone(one)))

    return edit


def nothing_sent(name, number=0):
    """In a step, no host sent anything."""

    def edit(evidence):
        span = during(step(evidence, name, number))
        kept = tuple(one for one in evidence.told if not (one.kind == "sent" and span["since"] <= one.t <= span["until"]))
        assert len(kept) < len(evidence.told), "nothing was sent there"
        return replace(evidence, told=kept)

    return edit


def unlabelled(label):
    """As if the lines under that label had not been typed."""
    return lambda evidence: replace(evidence, printed=tuple(one for one in evidence.printed if one.label != label))


def refused(label, command, device=""):
    """The router does not take that line."""

    def other_text(one):
        hit = one.label == label and one.command.startswith(command) and device in ("", one.device)
        return replace(one, text="% Invalid input detected at '^' marker.") if hit else one

    def edit(evidence):
        printed = tuple(map(other_text, evidence.printed))
        assert printed != evidence.printed, "no such line was typed"
        return replace(evidence, printed=printed)

    return edit


