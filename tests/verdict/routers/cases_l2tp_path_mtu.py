"""What the checks of verdict/routers/l2tp_path_mtu say of sound evidence, of a fault's, and of bad evidence."""

from dataclasses import replace

from edits import both, changed, doubtful, fails, no_capture, not_done, passes, reprinted, retold, untold

from harness.model import Side, Told
from harness.verdict.routers.l2tp_path_mtu import fared
from harness.verdict.routers.reading import carrying, l2tp, step

NATTED = "l2tp-path-mtu-behind-nat"
MTU, DF_BIT, FORGED, SCOPE, CLASS = (
    "l2tp-path-mtu",
    "l2tp-df-bit",
    "l2tp-forged-icmp",
    "l2tp-path-mtu-scope",
    "l2tp-pseudowire-class",
)


# What a packet of the host's met


def lost(label):
    """As if it had not arrived."""

    def edit(evidence):
        number = fared(evidence, label).sent.data["number"]
        assert fared(evidence, label).arrived
        kept = tuple(one for one in evidence.told if not (one.kind == "got" and one.data["number"] == number))
        return replace(evidence, told=kept)

    return edit


def arrived(label):
    def edit(evidence):
        assert not fared(evidence, label).arrived
        sent = fared(evidence, label).sent
        return replace(evidence, told=(*evidence.told, Told(sent.t + 0.1, "caller 1", "got", sent.data)))

    return edit


def answered(label, mtu):
    """As if its sender had been told that MTU, None: nothing."""

    def edit(evidence):
        sent = fared(evidence, label).sent
        number = sent.data["number"]
        kept = tuple(one for one in evidence.told if not (one.kind == "unreachable" and one.data.get("number") == number))
        more = () if mtu is None else (Told(sent.t + 0.1, "host", "unreachable", {"mtu": mtu, "number": number}),)
        assert kept != evidence.told or more
        return replace(evidence, told=(*kept, *more))

    return edit


def _with_outer(evidence, chosen, make):
    assert chosen
    frames = tuple(made for one in evidence.observations[Side.OUTSIDE] for made in (make(one) if one in chosen else (one,)))
    return replace(evidence, observations={**evidence.observations, Side.OUTSIDE: frames})


def outer(label, **headers):
    """What carried it, with other fields in its header."""

    def edit(evidence):
        make = lambda one: (replace(one, headers={**one.headers, **headers}),)  # noqa: E731
        return _with_outer(evidence, fared(evidence, label).outer, make)

    return edit


def unseen(label):
    return lambda evidence: _with_outer(evidence, fared(evidence, label).outer, lambda one: ())


def moved(label, to):
    """As if what carried one had been seen when another was sent."""

    def edit(evidence):
        at = fared(evidence, to).sent.t + 0.1
        return _with_outer(evidence, fared(evidence, label).outer, lambda one: (one, replace(one, t=at)))

    return edit


# What a caller's ping met


def caller_outer(inner_df, **headers):
    """What carried its small ping with or without DF, with other fields in the header."""

    def edit(evidence):
        pings = [one for one in evidence.steps if one.name == "ping:caller 2" and one.detail["size"] == 600]
        (asked,) = [one for one in pings if one.detail["df"] is inner_df]
        chosen = [one for one in carrying(evidence, "", 600, since=asked.began, until=asked.ended) if one.src == "10.0.0.12"]
        return _with_outer(evidence, chosen, lambda one: (replace(one, headers={**one.headers, **headers}),))

    return edit


def whole_of_caller(number):
    """The step in which that caller pinged with 1500 bytes."""

    def find(evidence):
        return next(one for one in evidence.steps if one.name == f"ping:caller {number}" and one.detail["size"] == 1500)

    return find


def caller_crosses(evidence):
    """The whole packet of the first caller crosses again when the second one has sent it."""
    first, second = whole_of_caller(1)(evidence), whole_of_caller(2)(evidence)
    chosen = carrying(evidence, "", 1500, since=first.began, until=first.ended)
    return _with_outer(evidence, chosen, lambda one: (one, replace(one, t=second.began + 0.1)))


def caller_never_crossed(evidence):
    return _with_outer(evidence, carrying(evidence, "", 1500), lambda one: ())


def caller_told(mtu):
    def edit(evidence):
        asked = whole_of_caller(2)(evidence)
        kept = tuple(one for one in evidence.told if not (one.kind == "unreachable" and one.who == "caller 2"))
        assert kept != evidence.told
        more = () if mtu is None else (Told(asked.ended, "caller 2", "unreachable", {"mtu": mtu}),)
        return replace(evidence, told=(*kept, *more))

    return edit


def caller_answered(evidence):
    asked = whole_of_caller(2)(evidence)
    told = tuple(
        replace(one, data={**one.data, "answered": True})
        if one.kind == "pinged" and asked.began < one.t <= asked.ended and one.who == "caller 2"
        else one
        for one in evidence.told
    )
    return replace(evidence, told=told)


def same_tunnel(caller):
    """As if that caller's had not been made anew."""

    def edit(evidence):
        dialled = step(evidence, f"dial:{caller}")
        begun = l2tp(evidence, "SCCRQ", since=dialled.began, until=dialled.ended)
        return _with_outer(evidence, begun, lambda one: ())

    return edit


def nothing_learnt(evidence):
    return both(answered("on: large with DF", None), arrived("on: large with DF"))(evidence)


def in_the_open(frame):
    return {**frame.headers, "encapsulation": "none"}


def all_arrive(evidence):
    """As if whatever the host was told of had arrived without a word."""
    numbers = {one.data["number"] for one in evidence.told if one.kind == "unreachable"}
    kept = [one for one in evidence.told if one.kind != "unreachable"]
    came = [
        Told(one.t + 0.1, "client 1", "got", one.data) for one in kept if one.kind == "sent" and one.data["number"] in numbers
    ]
    assert came
    return replace(evidence, told=(*kept, *came))


REFUSED = "% Invalid input detected at '^' marker."
FORGERY = "another SPI"

CASES = (
    passes("SEC-110", MTU),
    fails("SEC-110", MTU, "a loss", lost("off: large with DF"), "no longer arrives"),
    fails("SEC-110", MTU, "an answer", answered("off: large with DF", 900), "900"),
    doubtful("SEC-110", MTU, "no message", not_done("inject:fragmentation needed, off")),
    doubtful("SEC-110", MTU, "lost before too", lost("off: large with DF, before"), "before"),
    doubtful("SEC-110", MTU, "never heeded", nothing_learnt, "taught nothing either"),
    doubtful("SEC-110", MTU, "the tunnel before", same_tunnel("caller 2"), "no tunnel was made"),
    passes("SEC-111", MTU),
    fails("SEC-111", MTU, "it still passes", arrived("on: large with DF"), "still pass"),
    fails("SEC-111", MTU, "no word", answered("on: large with DF", None), "told no MTU"),
    fails("SEC-111", MTU, "another MTU", answered("on: large with DF", 1100), "told 1100"),
    fails("SEC-111", MTU, "outside too large", outer("on: as large as told", ip_length=1074), "1074"),
    fails("SEC-111", MTU, "what fits is lost", lost("on: as large as told"), "do not arrive"),
    doubtful("SEC-111", MTU, "lost before too", lost("on: large with DF, before")),
    doubtful("SEC-111", MTU, "no message", not_done("inject:fragmentation needed, on")),
    doubtful("SEC-111", MTU, "the tunnel before", same_tunnel("caller 2"), "no tunnel was made"),
    passes("SEC-112", MTU),
    fails("SEC-112", MTU, "it arrives", arrived("on: large with DF"), "arrived"),
    fails("SEC-112", MTU, "it is sent", moved("on: large without DF", "on: large with DF"), "onto the wire"),
    fails("SEC-112", MTU, "no word", answered("on: large with DF", None), "told nothing"),
    fails("SEC-112", MTU, "no smaller size", answered("on: large with DF", 1200), "1200"),
    fails("SEC-112", MTU, "a caller's is sent", caller_crosses, "of a caller's"),
    fails("SEC-112", MTU, "a caller's is answered", caller_answered, "was answered"),
    fails("SEC-112", MTU, "no word to the caller", caller_told(None), "caller was told nothing"),
    fails("SEC-112", MTU, "no smaller size for the caller", caller_told(1500), "1500"),
    fails("SEC-112", MTU, "those without DF too", lost("on: large without DF"), "without DF, which may be cut"),
    doubtful("SEC-112", MTU, "large ones are always lost", lost("off: large without DF"), "does not arrive either"),
    doubtful("SEC-112", MTU, "a caller's never crossed", caller_never_crossed, "never crossed"),
    passes("SEC-113", MTU),
    fails("SEC-113", MTU, "not at the LNS", outer("on: small with DF", df=False), "LNS"),
    fails("SEC-113", MTU, "not at the LAC", caller_outer(True, df=False), "LAC"),
    doubtful("SEC-113", MTU, "unseen", unseen("on: small with DF"), "not seen"),
    passes("SEC-114", MTU),
    fails("SEC-114", MTU, "always at the LNS", outer("on: small without DF", df=True), "LNS"),
    fails("SEC-114", MTU, "always at the LAC", caller_outer(False, df=True), "LAC"),
    doubtful("SEC-114", MTU, "no capture", no_capture()),
    passes("SEC-115", MTU, "926 bytes arrived; 927 bytes did not"),
    doubtful("SEC-115", MTU, "not sent", not_done("host-sends:on: as large as told")),
    passes("SEC-116", DF_BIT),
    fails("SEC-116", DF_BIT, "no effect", outer("set: small without DF", df=False), "no DF"),
    fails("SEC-116", DF_BIT, "stays", outer("unset again: small without DF", df=True), "still set"),
    doubtful("SEC-116", DF_BIT, "set anyway", outer("unset: small without DF", df=True), "without the line too"),
    doubtful("SEC-116", DF_BIT, "refused", reprinted("lns", "ip dfbit set", text=REFUSED), "does not take"),
    doubtful("SEC-116", DF_BIT, "the tunnel before", same_tunnel("caller 2"), "no tunnel was made"),
    passes("SEC-117", SCOPE),
    fails("SEC-117", SCOPE, "nothing learnt", arrived("with: large with DF"), "learnt nothing"),
    fails("SEC-117", SCOPE, "no word", answered("with: large with DF", None), "learnt nothing"),
    fails("SEC-117", SCOPE, "both learn", both(lost("without: large with DF"), answered("without: large with DF", 926)), "926"),
    fails("SEC-117", SCOPE, "a loss", lost("without: large with DF"), "lost a packet"),
    fails("SEC-117", SCOPE, "both reflect", outer("without: small with DF", df=True), "without ip pmtu reflects"),
    fails("SEC-117", SCOPE, "none reflects", outer("with: small with DF", df=False), "does not reflect"),
    fails("SEC-117", SCOPE, "kept by peer",
          both(lost("without: large with DF, before"), answered("without: large with DF, before", 926)), "from the other's"),
    doubtful("SEC-117", SCOPE, "lost before too", lost("without: large with DF, before")),
    doubtful("SEC-117", SCOPE, "no message", not_done("inject:fragmentation needed, with")),
    passes("SEC-118", CLASS),
    fails("SEC-118", CLASS, "refused", reprinted("lns", "ip pmtu", "with", text=REFUSED), "refused"),
    fails(
        "SEC-118", CLASS, "not kept",
        reprinted("lns", "show running-config", "with", text=lambda old: old.replace("\n ip pmtu", "")),
        "has no lines",
    ),
    fails(
        "SEC-118", CLASS, "not taken back",
        reprinted("lns", "show running-config", "without", text=lambda old: old.replace("ether-pw\n", "ether-pw\n ip pmtu\n")),
        "after 'no ip pmtu'",
    ),
    doubtful("SEC-118", CLASS, "no class", reprinted("lns", "show running-config", "with", text="!\nend"), "not in"),
    passes("SEC-119", MTU),
    fails("SEC-119", MTU, "still learning", lost("off again: large with DF"), "no longer arrives"),
    fails("SEC-119", MTU, "an answer", answered("off again: large with DF", 900), "900"),
    fails("SEC-119", MTU, "still reflecting", outer("off again: small with DF", df=True), "DF outside"),
    doubtful("SEC-119", MTU, "never heeded", nothing_learnt, "taught nothing either"),
    doubtful("SEC-119", MTU, "the tunnel before", same_tunnel("caller 3"), "no tunnel was made"),
    passes("SEC-121", FORGED),
    fails("SEC-121", FORGED, "believed", lost(FORGERY), FORGERY),
    fails("SEC-121", FORGED, "believed, and told", answered("L2TP in the clear", 926), "L2TP in the clear"),
    doubtful("SEC-121", FORGED, "the true one is not believed",
             both(answered("the packet itself", None), arrived("the packet itself")), "taught nothing either"),
    passes("SEC-122", NATTED, "up to 1414 bytes arrived"),
    fails("SEC-122", NATTED, "a black hole", lost("1400 bytes"), "1400 bytes with DF did not arrive"),
    fails("SEC-122", NATTED, "a word too much", answered("1300 bytes", 1200), "told that they do not"),
    fails("SEC-122", NATTED, "more than the wire takes", outer("1410 bytes", ip_length=1504), "1504"),
    fails("SEC-122", NATTED, "a lie", both(lost("as large as told"), answered("as large as told", 1200)), "do not arrive"),
    fails(
        "SEC-122", NATTED, "a size between",
        both(lost("1380 bytes"), answered("1380 bytes", 1414)), "passed, and 1380 did not",
    ),
    doubtful("SEC-122", NATTED, "no client", untold("up"), "no client"),
    doubtful("SEC-122", NATTED, "no NAT", changed(lambda one: "encapsulation" in one.headers, headers=in_the_open), "no NAT"),
    doubtful("SEC-122", NATTED, "all passes", all_arrive, "edge was not met"),
    doubtful("SEC-121", FORGED, "none was sent", retold("injected", what="the packet itself"), "no forged message"),
)  # fmt: skip
