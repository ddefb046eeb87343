"""What the checks of verdict/routers/l2tp_debug and l2tp_counters say of sound evidence, of a fault's, and of bad evidence."""

from dataclasses import replace

from edits import (
    Case,
    both,
    changed,
    doubtful,
    fails,
    first_row,
    in_trouble,
    inside,
    logged_last,
    passes,
    relogged,
    reprinted,
    retold,
    unlogged,
    unprinted,
    untold,
    with_frame,
    without,
)

from harness.devices.ios.parsers.ipsec_sa import Selector
from harness.model import FrameKind, Outcome, Side
from harness.verdict.routers.l2tp_counters import ENGINE, SAS
from harness.verdict.routers.l2tp_debug import L2X, SOCKET, SOCKETS
from harness.verdict.routers.reading import message_of, printed

LAC, LNS = "10.0.0.12", "10.0.0.13"


def l2tp(name, src=None):
    return lambda frame: frame.kind is FrameKind.ESP and message_of(frame) == name and src in (None, frame.src)


def saying(message, number):
    """The frame's L2TP message is another one."""

    def inner(frame):
        header = frame.inner.l2tp
        return replace(frame.inner, l2tp={**header, "message": message, "avps": {**header["avps"], "Message Type": number}})

    return {"inner": inner}


def acknowledged_first(evidence):
    """The LNS acknowledges the request before it answers it."""
    answer = next(frame for frame in evidence.observations[Side.OUTSIDE] if l2tp("SCCRP")(frame))
    return with_frame(lambda _: answer.t - 1e-3, FrameKind.ESP, LNS, LAC, inner=inside("ZLB"), esp=answer.esp)(evidence)


def with_avp(name, value):
    def inner(frame):
        header = frame.inner.l2tp
        return replace(frame.inner, l2tp={**header, "avps": {**header["avps"], name: value}})

    return {"inner": inner}


def sent_at(*after):
    """The LNS's answers come so many seconds after the first one; those beyond are taken away."""

    def edit(evidence):
        seen = {side: list(frames) for side, frames in evidence.observations.items()}
        for frames in seen.values():
            answers = [frame for frame in frames if l2tp("SCCRP")(frame)]
            for frame in answers:
                frames.remove(frame)
            if answers:
                assert len(answers) >= len(after)
                frames += [replace(frame, t=answers[0].t + s) for frame, s in zip(answers, after, strict=False)]
                frames.sort(key=lambda frame: frame.t)
        return replace(evidence, observations={side: tuple(frames) for side, frames in seen.items()})

    return edit


def row_of(sort, **values):
    """For `reprinted(rows=…)` of the engine: the row for "ike", "in" or "out" with other values, which may be functions of it."""

    def picked(row):
        return {"ike": not row.encrypt and not row.decrypt, "in": row.decrypt > 0, "out": row.encrypt > 0}[sort]

    def change(rows):
        assert any(picked(row) for row in rows)
        made = {row: {name: value(row) if callable(value) else value for name, value in values.items()} for row in rows}
        return tuple(replace(row, **made[row]) if picked(row) else row for row in rows)

    return change


def rows_without(which):
    return lambda rows: tuple(row for n, row in enumerate(rows) if n != which)


def engine(device, label, rows):
    return reprinted(device, ENGINE, label, rows=rows)


def of_socket(device, **values):
    """Of the one socket that a router shows while the tunnel is up."""
    return reprinted(device, SOCKETS, "up", rows=first_row(**values))


def sockets_before(evidence):
    shown = printed(evidence, "lns", SOCKETS, "up").rows
    return reprinted("lns", SOCKETS, "before", rows=shown)(evidence)


DEBUG, DEAF, COUNTED, TWO = "l2tp-debug", "l2tp-unacknowledged", "l2tp-engine", "l2tp-two-lns"

SOCKET_FIELDS = {
    "local_address": LAC, "local_port": 1702, "remote_address": LNS, "remote_port": 1702, "protocol": 6, "interface": "Fa0/1",
}  # fmt: skip
LINES = {
    "I SCCRQ": "the request that came in", "Requested security": "the request for security", "Got a challenge": "the challenge",
    "New tunnel": "the new tunnel", "O SCCRQ": "the answer", "retransmit delay": "the first delay",
    "idle to wait-ctl": "the change", "Completed binding": "the binding",
}  # fmt: skip
SAID = {
    "security-requested": {"local_address": LAC, "remote_address": LNS, "local_port": 1, "remote_port": 1},
    "challenge": {"remote_name": "else", "tunnel": 1},
    "tunnel-created": {"remote_name": "else", "remote_address": LNS, "tunnel": 1},
    "retransmit-delay": {"delay_s": 2, "tunnel": 1},
    "tunnel-state": {"tunnel": 1},
    "message": {"remote_name": "else", "remote_tunnel": 1},
}

CASES = (
    # SEC-90
    passes("SEC-90", DEBUG),
    fails("SEC-90", DEBUG, "bound before it is opened", logged_last("Passive open"), "before it was opened"),
    fails("SEC-90", DEBUG, "not opened", unlogged("Passive open"), "was opened"),
    fails("SEC-90", DEBUG, "not bound", unlogged("Completed binding"), "was bound"),
    *(
        fails("SEC-90", DEBUG, f"another {name}", relogged("passive-open", **{name: value}), f"the socket's {name}")
        for name, value in SOCKET_FIELDS.items()
    ),
    doubtful("SEC-90", DEBUG, "no call", untold("up"), "nothing to tell"),
    doubtful("SEC-90", DEBUG, "debugging is off", unprinted("lns", SOCKET), "was not asked"),
    doubtful("SEC-90", DEBUG, "debugging is refused", reprinted("lns", SOCKET, text="% Invalid input"), "refused"),
    # SEC-91
    passes("SEC-91", DEBUG),
    *(fails("SEC-91", DEBUG, f"nothing of {what}", unlogged(part), f"did not tell of {what}") for part, what in LINES.items()),
    *(
        fails("SEC-91", DEBUG, f"{what} comes late", logged_last(part), f" before {what}")
        for part, what in list(LINES.items())[:-1]
    ),
    *(
        fails("SEC-91", DEBUG, f"another {name} in {kind}", relogged(kind, **{name: value}), f"the {name} is told as {value}")
        for kind, values in SAID.items()
        for name, value in values.items()
    ),
    doubtful("SEC-91", DEBUG, "no challenge on the wire", changed(l2tp("SCCRQ"), **with_avp("Challenge", None)), "no challenge"),
    doubtful("SEC-91", DEBUG, "debugging is off", unprinted("lns", L2X), "was not asked"),
    # SEC-92
    passes("SEC-92", DEBUG),
    fails("SEC-92", DEBUG, "one before", sockets_before, "1 sockets before"),
    *(
        case
        for device in ("lns", "lac")
        for case in (
            fails(
                "SEC-92", DEBUG, f"closed at the {device}", of_socket(device, state="Closed"), f"the socket of {device} is Closed"
            ),
            fails("SEC-92", DEBUG, f"inactive at the {device}", of_socket(device, client_state="Inactive"), "its client Inactive"),
            fails("SEC-92", DEBUG, f"none at the {device}", reprinted(device, SOCKETS, "up", rows=()), f"{device} shows 0 sockets"),
            fails(
                "SEC-92",
                DEBUG,
                f"another socket at the {device}",
                of_socket(device, remote_ident=Selector(LAC, "255.255.255.255", 17, 0)),
                f"the socket of {device} is ((",
            ),
        )
    ),
    doubtful("SEC-92", DEBUG, "not asked", unprinted("lac", SOCKETS), "was not asked"),
    doubtful("SEC-92", DEBUG, "no call", untold("up"), "nothing to tell"),
    # SEC-93
    passes("SEC-93", DEBUG, "told as SCCRQ"),
    Case("SEC-93", DEBUG, Outcome.PASS, acknowledged_first, "told as SCCRQ", "an acknowledgement before the answer"),
    fails("SEC-93", DEBUG, "an SCCRQ on the wire", changed(l2tp("SCCRP"), **saying("SCCRQ", 1)), "the LNS sent an SCCRQ"),
    fails("SEC-93", DEBUG, "another answer", changed(l2tp("SCCRP"), **saying("StopCCN", 4)), "answered the SCCRQ by StopCCN"),
    fails("SEC-93", DEBUG, "another type", changed(l2tp("SCCRP"), **with_avp("Message Type", 1)), "type is 1"),
    doubtful("SEC-93", DEBUG, "nothing told", unlogged("O SCCRQ"), "did not tell"),
    doubtful("SEC-93", DEBUG, "no request", without(l2tp("SCCRQ")), "no protected SCCRQ"),
    # SEC-94
    passes("SEC-94", DEAF),
    fails("SEC-94", DEAF, "never again", sent_at(0.0), "0 times only"),
    fails("SEC-94", DEAF, "twice more", sent_at(0.0, 1.0, 3.0), "2 times only"),
    fails("SEC-94", DEAF, "after 3 s", sent_at(0.0, 3.0, 6.0, 12.0), "and not after 1 s"),
    fails("SEC-94", DEAF, "after half a second", sent_at(0.0, 0.5, 1.5, 3.5), "and not after 1 s"),
    fails("SEC-94", DEAF, "sooner and sooner", sent_at(0.0, 1.2, 2.2, 5.2), "sooner than before"),
    fails("SEC-94", DEAF, "every second", sent_at(0.0, 1.0, 2.0, 3.0, 4.0), "do not grow"),
    fails("SEC-94", DEAF, "another delay is told", relogged("retransmit-delay", delay_s=2), "delay of [2]"),
    fails("SEC-94", DEAF, "the call carries nothing", retold("pinged", answered=False), "carries nothing"),
    doubtful(
        "SEC-94",
        DEAF,
        "no acknowledgement",
        without(lambda f: f.kind is FrameKind.ESP and f.src == LAC and f.esp["sequence"] > 1),
        "did not acknowledge",
    ),
    doubtful("SEC-94", DEAF, "no call", untold("up"), "no call"),
    # SEC-95
    passes("SEC-95", DEBUG),
    doubtful("SEC-95", DEBUG, "nothing of the socket", unlogged("Passive open"), "did not tell"),
    doubtful("SEC-95", DEBUG, "trouble", in_trouble, "half up"),
    # SEC-96
    passes("SEC-96", COUNTED),
    fails("SEC-96", COUNTED, "IKE counts", engine("lac", "first", row_of("ike", encrypt=9)), "for IKE counts"),
    fails(
        "SEC-96",
        COUNTED,
        "too few came",
        engine("lns", "first", row_of("in", decrypt=lambda row: row.decrypt - 1)),
        "crossed the wire",
    ),
    fails(
        "SEC-96", COUNTED, "too many went", engine("lns", "first", row_of("out", encrypt=lambda row: row.encrypt + 1)), "crossed"
    ),
    fails("SEC-96", COUNTED, "both in one row", engine("lac", "first", row_of("in", encrypt=13)), "counts the other direction"),
    fails(
        "SEC-96",
        COUNTED,
        "directions are swapped",
        engine("lac", "second", lambda rows: tuple(replace(one, encrypt=one.decrypt, decrypt=one.encrypt) for one in rows)),
        "crossed",
    ),
    fails("SEC-96", COUNTED, "no row for IKE", engine("lns", "first", rows_without(0)), "0 rows beside"),
    fails("SEC-96", COUNTED, "one row for IPsec", engine("lns", "first", rows_without(2)), "1 rows for IPsec"),
    *(
        fails("SEC-96", COUNTED, f"another {name} of {sort}", engine("lac", "first", row_of(sort, **{name: value})), "is shown as")
        for sort in ("ike", "in", "out")
        for name, value in {"state": "alloc", "interface": None, "address": LNS, "algorithm": "HMAC_MD5+DES_56_CB"}.items()
    ),
    doubtful("SEC-96", COUNTED, "no call", untold("up"), "no call"),
    doubtful("SEC-96", COUNTED, "SAs not asked for", unprinted("lns", SAS), "was not asked"),
    doubtful("SEC-96", COUNTED, "half read", reprinted("lac", ENGINE, "first", unread=("a line",)), "not wholly"),
    # SEC-97
    passes("SEC-97", COUNTED),
    fails(
        "SEC-97", COUNTED, "what comes is not counted", engine("lns", "second", row_of("in", decrypt=14)), "inbound counter of lns"
    ),
    fails(
        "SEC-97", COUNTED, "what goes is not counted", engine("lac", "second", row_of("out", encrypt=14)), "outbound counter of lac"
    ),
    fails(
        "SEC-97", COUNTED, "counted twice", engine("lac", "second", row_of("in", decrypt=lambda row: 2 * row.decrypt)), "moved by"
    ),
    fails(
        "SEC-97",
        COUNTED,
        "the echoes are in neither",
        both(
            without(lambda f: f.kind is FrameKind.ESP and f.inner and (f.inner.ppp or {}).get("icmp_type") == 8),
            engine("lns", "second", row_of("in", decrypt=13)),
            engine("lns", "first", row_of("in", decrypt=13)),
        ),
        "with 10 echoes",
    ),
    doubtful("SEC-97", COUNTED, "no echoes", retold("pinged", answered=False), "too few"),
    doubtful("SEC-97", COUNTED, "other SAs", reprinted("lac", SAS, "second", rows=()), "no SAs"),
    # SEC-98
    passes("SEC-98", COUNTED),
    fails("SEC-98", COUNTED, "both in one row", engine("lns", "second", row_of("in", encrypt=24)), "counts 24 encrypted"),
    fails("SEC-98", COUNTED, "both at the LAC", engine("lac", "first", row_of("out", decrypt=1)), "of lac counts"),
    doubtful(
        "SEC-98",
        COUNTED,
        "nothing is counted",
        engine("lac", "first", lambda rows: tuple(replace(one, encrypt=0, decrypt=0) for one in rows)),
        "nothing at all",
    ),
    doubtful("SEC-98", COUNTED, "one way alone", without(lambda f: f.kind is FrameKind.ESP and f.src == LNS), "both ways"),
    # SEC-99
    passes("SEC-99", TWO),
    fails(
        "SEC-99",
        TWO,
        "the second has no rows",
        engine("lac", "two", lambda rows: tuple(one for one in rows if one.id not in (3, 4))),
        "2 of 4 SPIs",
    ),
    fails("SEC-99", TWO, "one row is missing", engine("lac", "one", rows_without(0)), "1 rows for IPsec"),
    fails("SEC-99", TWO, "one ISAKMP SA for both", engine("lac", "two", lambda rows: rows[:-1]), "1 rows for IKE"),
    doubtful("SEC-99", TWO, "one tunnel", without(l2tp("SCCRP", "10.0.0.14")), "1 LNSes"),
)
