"""What the checks of verdict/routers/l2tp_profiles and l2tp_negotiated say of sound evidence, of a fault's, and of bad evidence."""

from dataclasses import replace

from edits import (
    both,
    changed,
    doubtful,
    fails,
    first_row,
    lossy,
    not_done,
    passes,
    reprinted,
    unprinted,
    untold,
    with_frame,
    without,
)

from harness.model import FrameKind, Told
from harness.verdict.routers.l2tp_profiles import NOBODY, SHOW
from harness.verdict.routers.reading import step

LAC, LNS = "10.0.0.12", "10.0.0.13"
SECOND_MAP = "show crypto map tag second"
IGNORED = "l2tp-profile-not-heeded"
NAMES = "l2tp-profile-names"
CLONES = "l2tp-profile"
TWO = "l2tp-two-lns"
SETS = "l2tp-transform-sets"
NOTHING_COMMON = "l2tp-no-common-transform"
MODES = "l2tp-modes"
NO_MAP = "l2tp-no-map"
KEYS = "l2tp-keys"
SEVEN = "set transform-set one two three four five six seven"


def during(number, after=0.01):
    """While caller `number` dials."""
    return lambda evidence: step(evidence, f"dial:caller {number}").began + after


def quick(message):
    """The frames of that ISAKMP message."""
    return lambda frame: frame.kind is FrameKind.IKE and frame.ike.get("message") == message


def ike(**fields):
    return {"ike": lambda frame: {**frame.ike, **fields}}


def proposing(**fields):
    return {"ike": lambda frame: {**frame.ike, "proposals": [{**one, **fields} for one in frame.ike["proposals"]]}}


def nth(which, number):
    """The `number`-th frame alone, from 0, of those that `which` names."""

    def edit_with(edit):
        def edited(evidence):
            found = [one for frames in evidence.observations.values() for one in frames if which(one)]
            return edit(lambda frame: frame is found[number])(evidence)

        return edited

    return edit_with


def nth_changed(which, number, **fields):
    return nth(which, number)(lambda one: changed(one, **fields))


def ids(frame, *, port=1701, value=None):
    """A message's identities with another port or address in the last of them."""
    first, second = frame.ike["ids"]
    other = {**second, "port": port, **({"value": value} if value else {})}
    return {**frame.ike, "ids": [first, other]}


def in_row(number, **values):
    def change(rows):
        found = list(rows)
        found[number] = replace(found[number], **values)
        return tuple(found)

    return change


def first_only(rows):
    return rows[:1]


def came_up(number):
    """A caller that was refused says that it is up."""

    def edit(evidence):
        dialled = next(one for one in evidence.told if one.kind == "dialled" and one.who == f"caller {number}")
        up = Told(dialled.t + 1, dialled.who, "up", {"address": "172.16.1.99", "took": 1.0})
        return replace(evidence, told=tuple(sorted((*evidence.told, up), key=lambda one: one.t)))

    return edit


def syslog_of(source):
    return lambda frame: frame.kind is FrameKind.OTHER and frame.dport == 514 and frame.src == source


def later(which, number):
    """That frame of them, from 0, away."""
    return nth(which, number)(lambda one: without(one))


QM1, QM2 = quick("QM1"), quick("QM2")
ESP = FrameKind.ESP


def esp_of_call(number):
    """ESP after caller `number` has dialled, which comes before whoever dials next."""
    return with_frame(during(number), ESP, LAC, LNS, esp={"spi": "0000beef", "sequence": 1, "next_header": 17})


def no_esp(frame):
    return frame.kind is ESP


def no_session(behaviour, script, number):
    """The cases of a call that is to get nowhere."""
    return (
        fails(behaviour, script, f"call {number} comes up", came_up(number), f"caller {number} came up"),
        fails(behaviour, script, f"ESP in call {number}", esp_of_call(number), "ESP crossed the wire"),
        fails(behaviour, script, f"L2TP in the clear in call {number}", with_frame(during(number), FrameKind.L2TP_CLEAR, LAC, LNS),
              "in the clear"),
        fails(behaviour, script, f"L2TP in the clear in call {number}, and no call ever",
              both(with_frame(during(number), FrameKind.L2TP_CLEAR, LAC, LNS), untold("up")), "in the clear"),
    )  # fmt: skip


TEMPLATE = {
    "sequence": 11, "access_list": "101", "peers": (NOBODY,), "current_peer": NOBODY, "lifetime_kb": 2560, "lifetime_s": 120,
    "pfs": True, "transform_sets": ("other",),
}  # fmt: skip
CLONE = {
    "sequence": 10, "peers": (NOBODY,), "current_peer": "0.0.0.0", "interfaces": (), "lifetime_kb": 2560, "lifetime_s": 120,
    "pfs": True, "transform_sets": ("other",), "permits": ("permit udp host 10.0.0.12 host 10.0.0.13",),
}  # fmt: skip

CASES = (
    # SEC-50
    passes("SEC-50", CLONES),
    *(
        fails("SEC-50", CLONES, f"another {name}", reprinted("lac", SHOW, "before", rows=first_row(**{name: value})))
        for name, value in TEMPLATE.items()
    ),
    fails("SEC-50", CLONES, "two entries", reprinted("lac", SHOW, "before", rows=lambda rows: rows * 2), "2 entries"),
    fails("SEC-50", CLONES, "no entry", reprinted("lac", SHOW, "before", rows=()), "0 entries"),
    doubtful("SEC-50", CLONES, "not asked", unprinted("lac", SHOW), "was not asked"),
    doubtful("SEC-50", CLONES, "half read", reprinted("lac", SHOW, "before", unread=("a line",)), "not wholly"),
    doubtful("SEC-50", CLONES, "IKE before", with_frame(lambda e: e.steps[0].began, FrameKind.IKE, LAC, LNS), "before"),
    # SEC-51
    passes("SEC-51", CLONES),
    *(
        fails(
            "SEC-51", CLONES, f"the LAC's clone has another {name}", reprinted("lac", SHOW, "up", rows=in_row(1, **{name: value}))
        )
        for name, value in CLONE.items()
    ),
    *(
        fails(
            "SEC-51", CLONES, f"the LNS's clone has another {name}", reprinted("lns", SHOW, "up", rows=in_row(1, **{name: value}))
        )
        for name, value in CLONE.items()
    ),
    fails("SEC-51", CLONES, "no clone", reprinted("lac", SHOW, "up", rows=first_only), "0 clones"),
    fails("SEC-51", CLONES, "quick mode for all ports", changed(QM1, ike=lambda frame: ids(frame, port=0)), "asks to protect"),
    doubtful("SEC-51", CLONES, "no call", untold("up"), "no call"),
    doubtful("SEC-51", CLONES, "no quick mode", without(QM1), "did not cross"),
    # SEC-52
    passes("SEC-52", CLONES),
    fails("SEC-52", CLONES, "the old life is proposed", nth_changed(QM1, 1, **proposing(lifetime_s=3600)), "3600"),
    fails("SEC-52", CLONES, "the clone has the old life", reprinted("lac", SHOW, "changed", rows=in_row(1, lifetime_s=3600))),
    fails("SEC-52", CLONES, "there is no clone", reprinted("lac", SHOW, "changed", rows=first_only), "shows []"),
    doubtful("SEC-52", CLONES, "the same before", nth_changed(QM1, 0, **proposing(lifetime_s=120)), "shows nothing"),
    doubtful("SEC-52", CLONES, "no second call", untold("up", "caller 2"), "did not come up"),
    # SEC-53
    passes("SEC-53", TWO, "step between them is 10"),
    fails("SEC-53", TWO, "one clone for both", reprinted("lac", SHOW, "two", rows=lambda rows: rows[:2]), "1 clones of 2"),
    fails("SEC-53", TWO, "one number for both", reprinted("lac", SHOW, "two", rows=in_row(2, sequence=20)), "share"),
    fails("SEC-53", TWO, "the wrong peer", reprinted("lac", SHOW, "two", rows=in_row(2, peers=(LNS,))), "10.0.0.14"),
    fails("SEC-53", TWO, "the wrong list", reprinted("lac", SHOW, "two", rows=in_row(2, permits=("permit udp any any",)))),
    fails("SEC-53", TWO, "a wider socket", nth_changed(QM1, 1, ike=lambda frame: ids(frame, port=0)), "asks to protect"),
    doubtful("SEC-53", TWO, "no second call", untold("up", "caller 2"), "did not come up"),
    # SEC-54
    passes("SEC-54", CLONES),
    fails("SEC-54", CLONES, "the LAC's stays", reprinted("lac", SHOW, "ended", rows=lambda rows: rows * 2), "lac still"),
    fails("SEC-54", CLONES, "the LNS's stays", reprinted("lns", SHOW, "ended", rows=lambda rows: rows * 2), "lns still"),
    doubtful(
        "SEC-54",
        CLONES,
        "the tunnel stays",
        without(lambda f: f.inner and (f.inner.l2tp or {}).get("message") == "StopCCN"),
        "was not ended",
    ),
    doubtful("SEC-54", CLONES, "there was none", reprinted("lns", SHOW, "up", rows=first_only), "no clone"),
    # SEC-55
    passes("SEC-55", CLONES),
    fails("SEC-55", CLONES, "the LAC's is not in the clear", later(syslog_of(LAC), 1), "lac sent no"),
    fails("SEC-55", CLONES, "the LNS's is not in the clear", later(syslog_of(LNS), 1), "lns sent no"),
    doubtful("SEC-55", CLONES, "none before either", later(syslog_of(LAC), 0), "before the tunnel"),
    doubtful("SEC-55", CLONES, "no ESP", without(no_esp), "no tunnel"),
    doubtful("SEC-55", CLONES, "lost frames", lossy(), "lost 3"),
    # SEC-56
    passes("SEC-56", IGNORED),
    fails("SEC-56", IGNORED, "the LAC turns to that peer", with_frame(during(1), FrameKind.IKE, LAC, NOBODY), "turned to"),
    fails("SEC-56", IGNORED, "no call comes up", untold("up", "caller 1"), "did not come up"),
    fails(
        "SEC-56",
        IGNORED,
        "that peer is asked for",
        nth_changed(QM1, 0, ike=lambda frame: ids(frame, value=NOBODY)),
        "asks to protect",
    ),
    doubtful("SEC-56", IGNORED, "no such line", unprinted("lac", f"set peer {NOBODY}"), "was not asked"),
    doubtful("SEC-56", IGNORED, "no call", not_done("dial:caller 1"), "was not carried out"),
    # SEC-57
    passes("SEC-57", IGNORED),
    fails("SEC-57", IGNORED, "the list is asked for", nth_changed(QM1, 1, ike=lambda frame: ids(frame, port=0)), "asks to protect"),
    fails("SEC-57", IGNORED, "the list protects", later(syslog_of(LAC), -1), "did not go in the clear"),
    fails("SEC-57", IGNORED, "no call comes up", untold("up", "caller 2"), "did not come up"),
    doubtful("SEC-57", IGNORED, "no such line", unprinted("lac", "match address 101"), "was not asked"),
    doubtful("SEC-57", IGNORED, "nothing in the clear before either", without(syslog_of(LAC)), "before"),
    doubtful("SEC-57", IGNORED, "quick mode is closed", nth_changed(QM1, 1, **ike(decrypted=False)), "no key opens"),
    # SEC-58
    passes("SEC-58", NAMES),
    fails(
        "SEC-58",
        NAMES,
        "the second is taken",
        reprinted("lac", SHOW, "twice", rows=lambda rows: (*rows, replace(rows[0], sequence=20))),
        "[10, 20]",
    ),
    fails(
        "SEC-58",
        NAMES,
        "nothing is said",
        reprinted("lac", "crypto map l2tpsec 20 ipsec-isakmp profile l2tp", "twice", text=""),
        "was not refused",
    ),
    fails(
        "SEC-58",
        NAMES,
        "the note of a line that was taken is said",
        reprinted("lac", "crypto map l2tpsec 20 ipsec-isakmp profile l2tp", "twice", text="% NOTE: This new crypto map …"),
        "was not refused",
    ),
    fails("SEC-58", NAMES, "refused in another set too", reprinted("lac", SECOND_MAP, "another set", rows=()), "another set"),
    fails("SEC-58", NAMES, "nothing serves", untold("up"), "no call"),
    doubtful(
        "SEC-58", NAMES, "other names are refused too", reprinted("lac", SHOW, "another name", rows=first_only), "not taken either"
    ),
    # SEC-59
    passes("SEC-59", SETS),
    fails(
        "SEC-59",
        SETS,
        "six are refused",
        reprinted("lac", "set transform-set one two three four five six", "six", text="% Invalid input"),
        "refused",
    ),
    fails(
        "SEC-59",
        SETS,
        "five are offered",
        nth_changed(QM1, 0, ike=lambda f: {**f.ike, "proposals": f.ike["proposals"][:5]}),
        "of six",
    ),
    fails("SEC-59", SETS, "the sixth does not serve", untold("up", "caller 1"), "did not come up"),
    fails("SEC-59", SETS, "seven are taken", reprinted("lac", SEVEN, "seven", text=""), "was taken"),
    fails(
        "SEC-59",
        SETS,
        "seven are offered",
        nth_changed(QM1, 1, ike=lambda f: {**f.ike, "proposals": [*f.ike["proposals"], f.ike["proposals"][0]]}),
        "after a line of seven",
    ),
    fails("SEC-59", SETS, "the seventh serves", came_up(2), "by the seventh"),
    doubtful("SEC-59", SETS, "no quick mode", without(QM1), "did not cross"),
    # SEC-60
    passes("SEC-60", SETS),
    fails("SEC-60", SETS, "the fifth is chosen", nth_changed(QM2, 1, **proposing(encryption="des", authentication="md5")), "chose"),
    fails(
        "SEC-60",
        SETS,
        "ESP is another",
        changed(lambda f: f.kind is ESP and f.esp["encryption"] == "3des", esp=lambda f: {**f.esp, "encryption": "des"}),
        "ESP is",
    ),
    doubtful("SEC-60", SETS, "other offers", nth_changed(QM1, 2, **proposing(encryption="des")), "offered"),
    doubtful("SEC-60", SETS, "no ESP", without(no_esp), "no ESP"),
    # SEC-61
    passes("SEC-61", NOTHING_COMMON),
    fails("SEC-61", NOTHING_COMMON, "no word of it", changed(quick("INFO"), **ike(notifies=[])), "did not say"),
    fails(
        "SEC-61",
        NOTHING_COMMON,
        "another word",
        changed(quick("INFO"), **ike(notifies=[{"type": 16, "name": "PAYLOAD-MALFORMED"}])),
        "did not say",
    ),
    fails(
        "SEC-61", NOTHING_COMMON, "the LNS agrees", changed(lambda f: f.ike and f.ike["notifies"], **ike(message="QM2")), "agreed"
    ),
    *no_session("SEC-61", NOTHING_COMMON, 1),
    doubtful("SEC-61", NOTHING_COMMON, "phase 1 fails", without(quick("MM6")), "did not begin"),
    doubtful("SEC-61", NOTHING_COMMON, "nothing works", untold("up", "caller 2"), "says nothing"),
    # SEC-62
    passes("SEC-62", MODES),
    fails("SEC-62", MODES, "tunnel is offered", nth_changed(QM1, 0, **proposing(encapsulation=1)), "QM1 says"),
    fails("SEC-62", MODES, "tunnel is agreed on", nth_changed(QM2, 0, **proposing(encapsulation=1)), "QM2 says"),
    fails("SEC-62", MODES, "transport without the line", nth_changed(QM2, 1, **proposing(encapsulation=2)), "QM2 says"),
    fails(
        "SEC-62",
        MODES,
        "ESP is tunnel mode",
        nth_changed(no_esp, 0, esp=lambda f: {**f.esp, "next_header": 4}),
        "in transport mode",
    ),
    fails(
        "SEC-62",
        MODES,
        "ESP is transport mode without the line",
        changed(lambda f: f.kind is ESP and f.esp["next_header"] == 4, esp=lambda f: {**f.esp, "next_header": 17}),
        "in tunnel mode",
    ),
    doubtful("SEC-62", MODES, "no call", untold("up", "caller 1"), "no call"),
    doubtful("SEC-62", MODES, "no ESP", without(no_esp), "no ESP"),
    # SEC-63
    passes("SEC-63", NO_MAP),
    *no_session("SEC-63", NO_MAP, 1),
    *no_session("SEC-63", NO_MAP, 2),
    doubtful("SEC-63", NO_MAP, "nothing works", untold("up", "caller 3"), "says nothing"),
    doubtful("SEC-63", NO_MAP, "nobody calls", untold("dialled", "caller 1"), "nobody called"),
    # SEC-64
    passes("SEC-64", MODES),
    fails(
        "SEC-64",
        MODES,
        "a KE payload without PFS",
        nth_changed(QM1, 0, ike=lambda f: {**f.ike, "payloads": [*f.ike["payloads"], "KE"]}),
        "without PFS",
    ),
    fails(
        "SEC-64",
        MODES,
        "a KE payload in the answer",
        nth_changed(QM2, 0, ike=lambda f: {**f.ike, "payloads": [*f.ike["payloads"], "KE"]}),
        "QM2 of call 1",
    ),
    fails("SEC-64", MODES, "none with PFS", nth_changed(QM1, 2, **ike(payloads=["HASH", "SA", "NONCE", "ID", "ID"])), "asked for"),
    doubtful("SEC-64", MODES, "no quick mode", without(QM2), "did not cross"),
    # SEC-65
    passes("SEC-65", KEYS),
    fails("SEC-65", KEYS, "another key does", with_frame(during(2, 0.1), FrameKind.IKE, LNS, LAC, ike={"message": "MM6"}), "MM6"),
    fails(
        "SEC-65",
        KEYS,
        "a key for another address does",
        with_frame(during(3, 0.1), FrameKind.IKE, LAC, LNS, ike={"message": "QM1"}),
        "QM1",
    ),
    *no_session("SEC-65", KEYS, 2),
    *no_session("SEC-65", KEYS, 3),
    doubtful("SEC-65", KEYS, "no call with the right key", untold("up", "caller 1"), "right key"),
    doubtful("SEC-65", KEYS, "nothing works afterwards", untold("up", "caller 4"), "says nothing"),
    doubtful("SEC-65", KEYS, "main mode ends before", without(quick("MM5")), "did not come to"),
)
