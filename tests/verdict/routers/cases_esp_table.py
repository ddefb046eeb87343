"""What the checks of verdict/routers/esp_table say of sound evidence, of a fault's, and of bad evidence."""

import re
from dataclasses import replace

from cases_esp_transparency import nothing_came
from edits import changed, doubtful, fails, in_trouble, lossy, no_capture, not_done, passes, reprinted, unprinted, without

from harness.model import FrameKind, Side
from harness.routers.play import read
from harness.verdict.routers.reading import printed, step

TUNNELS, LIFE, STORM = "nat-table-esp", "nat-table-life", "nat-table-storm"
SHOW, CLEAR = "show ip nat translations", "clear ip nat translation"
EAST = "203.0.113.241"


def retabled(more, label, change):
    """The table with its text changed, and read again."""
    command = f"{SHOW} {more}".strip()

    def edit(evidence):
        old = printed(evidence, "nat", command, label)
        new = read(replace(old, text=change(old.text), rows=None, unread=(), cut=""))
        assert new.text != old.text, "nothing changed"
        assert new.rows is not None
        return replace(evidence, printed=tuple(new if one is old else one for one in evidence.printed))

    return edit


def put(old, new, count=-1):
    return lambda text: text.replace(old, new, count)


def sub(pattern, new, count=0):
    """The same by a pattern; `count` 0 is everywhere."""
    return lambda text: re.sub(pattern, new, text, count=count)


INBOUND, OUTBOUND = r":[0-9A-F]{8}(?= 2)", r":[0-9A-F]{8}(?=\s*$)"
"""An SPI beside the inside local address, and beside the outside global one."""


def drop(part):
    """The first line that holds this pattern goes."""

    def change(text):
        lines = text.splitlines()
        lines.remove(next(line for line in lines if re.search(part, line)))
        return "\n".join(lines)

    return change


def as_before(more, before, after):
    """The second table is the first one."""

    def edit(evidence):
        old = printed(evidence, "nat", f"{SHOW} {more}".strip(), before)
        return reprinted("nat", f"{SHOW} {more}".strip(), after, text=old.text, rows=old.rows)(evidence)

    return edit


def esp_from_east(frame):
    return frame.kind is FrameKind.ESP and frame.src == EAST


def gets_in(name, kind=FrameKind.ESP):
    """What came from outside in that step is seen inside as well."""

    def edit(evidence):
        at = step(evidence, name)
        seen = [
            replace(one, side=Side.INSIDE, frame=9000, dst="10.0.0.11")
            for one in evidence.observations[Side.OUTSIDE]
            if one.kind is kind and one.src == EAST and at.began <= one.t <= at.ended
        ]
        assert seen
        frames = tuple(sorted((*evidence.observations[Side.INSIDE], *seen), key=lambda one: one.t))
        return replace(evidence, observations={**evidence.observations, Side.INSIDE: frames})

    return edit


def arrives(name):
    """The first packet that was sent in that step comes to its host."""

    def edit(evidence):
        at = step(evidence, name)
        sent = next(one for one in evidence.told if one.kind == "sent" and one.t >= at.began)
        return replace(evidence, told=(*evidence.told, replace(sent, who="host of west-1", kind="got")))

    return edit


def kept_out(name, kind):
    """What came from outside in that step is not seen inside."""

    def edit(evidence):
        at = step(evidence, name)
        return without(lambda one: one.kind is kind and one.src == EAST and at.began <= one.t <= at.ended, Side.INSIDE)(evidence)

    return edit


def silent(name):
    """The concentrator sent nothing in that step."""

    def edit(evidence):
        at = step(evidence, name)
        return without(lambda one: one.src == EAST and at.began <= one.t <= at.ended)(evidence)

    return edit


def spoke_meanwhile(evidence):
    """An endpoint sends IKE after the clear, before the concentrator does."""
    t = step(evidence, "esp cleared").began
    ike = next(one for one in evidence.observations[Side.INSIDE] if one.kind is FrameKind.IKE and one.src == "10.0.0.11")
    frames = tuple(sorted((*evidence.observations[Side.INSIDE], replace(ike, t=t, frame=9000)), key=lambda one: one.t))
    return replace(evidence, observations={**evidence.observations, Side.INSIDE: frames})


def early(name, idle_s):
    """As if the script had waited for so long before that step."""

    def edit(evidence):
        one = step(evidence, name)
        other = replace(one, detail={"idle_s": idle_s})
        return replace(evidence, steps=tuple(other if at is one else at for at in evidence.steps))

    return edit


def other_spis(evidence):
    at = step(evidence, "esp cleared")
    change = changed(lambda one: esp_from_east(one) and at.began <= one.t <= at.ended, esp={"spi": "12345678"})
    return change(evidence)


def never_again(device):
    """Nothing came to the host behind that endpoint after the clear."""

    def edit(evidence):
        t = printed(evidence, "nat", f"{CLEAR} *").t
        kept = tuple(one for one in evidence.told if not (one.kind == "got" and one.who == f"host of {device}" and one.t > t))
        return replace(evidence, told=kept)

    return edit


CASES = (
    passes("ESN-50", TUNNELS),
    fails("ESN-50", TUNNELS, "another SPI", retabled("esp", "up", sub(INBOUND, ":11111111", 1)), "lacks `esp"),
    fails("ESN-50", TUNNELS, "hosts in each other's place", retabled("esp", "up", put("10.0.0.12", "10.0.0.11")), "lacks"),
    fails("ESN-50", TUNNELS, "one row alone", retabled("esp", "up", drop(INBOUND)), "lacks"),
    fails("ESN-50", TUNNELS, "a row of nobody", retabled("esp", "up", put("10.0.0.12", "10.0.0.19", 1)), "no packet was seen of"),
    fails("ESN-50", TUNNELS, "decimal numbers", retabled("esp", "up", sub(INBOUND, ":1416318766", 1)), "lacks"),
    doubtful(
        "ESN-50", TUNNELS, "one tunnel", without(lambda one: "10.0.0.12" in (one.src, one.dst), Side.INSIDE), "fewer than two"
    ),
    doubtful("ESN-50", TUNNELS, "not asked", unprinted("nat", f"{SHOW} esp"), "was not asked"),
    doubtful("ESN-50", TUNNELS, "trouble", in_trouble, "half up"),
    passes("ESN-51", TUNNELS),
    fails("ESN-51", TUNNELS, "another SPI in", retabled("esp", "up", sub(INBOUND, ":11111111", 1)), "whose inbound SAs"),
    fails(
        "ESN-51", TUNNELS, "another SPI out", retabled("esp", "up", sub("(?m)" + OUTBOUND, ":11111111", 1)), "whose outbound SAs"
    ),
    fails("ESN-51", TUNNELS, "the peer's differ", reprinted("east-1", "show crypto ipsec sa", "up", rows=()), "has other SPIs"),
    doubtful("ESN-51", TUNNELS, "an empty table", retabled("esp", "up", lambda text: text.splitlines()[0]), "no entry"),
    doubtful("ESN-51", TUNNELS, "an endpoint not asked", unprinted("west-2", "show crypto ipsec sa"), "was not asked"),
    passes("ESN-52", TUNNELS),
    fails(
        "ESN-52", TUNNELS, "made later", retabled("esp verbose", "up", sub("create 00:00:..", "create 00:00:59", 1)), "create of"
    ),
    fails("ESN-52", TUNNELS, "used earlier", retabled("esp verbose", "up", put("use 00:00:00", "use 00:01:00", 1)), "use of"),
    fails("ESN-52", TUNNELS, "no flag", retabled("esp verbose", "up", put("extended, 0x100000,", "extended,", 1)), "flags of"),
    fails("ESN-52", TUNNELS, "not extended", retabled("esp verbose", "up", put("extended, 0x", "0x", 1)), "not flagged"),
    fails("ESN-52", TUNNELS, "not used", retabled("esp verbose", "up", put("use_count:1", "use_count:0", 1)), "use_count of"),
    fails("ESN-52", TUNNELS, "entries below", retabled("esp verbose", "up", put("lc_entries:0", "lc_entries:4", 1)), "lc_entries"),
    fails("ESN-52", TUNNELS, "no map", retabled("esp verbose", "up", put(" Map-Id(In):1,", "", 1)), "Map-Id(In) of"),
    fails("ESN-52", TUNNELS, "no end", retabled("esp verbose", "up", sub(" left 00:04:..,", "", 1)), "left of"),
    fails(
        "ESN-52", TUNNELS, "another life", retabled("esp verbose", "up", sub("left 00:04:..", "left 23:59:56", 1)), "should have"
    ),
    fails("ESN-52", TUNNELS, "one number twice", retabled("esp verbose", "up", sub(r"entry-id:\d+", "entry-id:5")), "numbers are"),
    doubtful("ESN-52", TUNNELS, "no ESP", without(lambda one: one.kind is FrameKind.ESP, Side.INSIDE), "no ESP of"),
    passes("ESN-53", LIFE),
    fails("ESN-53", LIFE, "gone too early", nothing_came("idle:short again"), "did not get in"),
    fails("ESN-53", LIFE, "gone too late", arrives("idle:long"), "after 330 s"),
    fails("ESN-53", LIFE, "never gone", gets_in("idle:long"), "crossed the NAT after 330 s"),
    fails("ESN-53", LIFE, "still shown", as_before("esp verbose", "short", "long"), "still has the tunnel"),
    fails("ESN-53", LIFE, "more time left", retabled("esp verbose", "short", sub("left 00:00:..", "left 00:03:19")), "199 s left"),
    fails("ESN-53", LIFE, "shown too short", as_before("esp verbose", "long", "short"), "has 0 rows"),
    fails("ESN-53", LIFE, "never made anew", nothing_came("exchange:west-1:east-1:anew"), "once the endpoint"),
    doubtful("ESN-53", LIFE, "not idle for long", early("idle:long", 200.0), "too short"),
    doubtful("ESN-53", LIFE, "idle for too long", early("idle:short", 301.0), "too long"),
    doubtful("ESN-53", LIFE, "nothing sent", silent("idle:long"), "sent no ESP"),
    passes("ESN-60", TUNNELS),
    fails("ESN-60", TUNNELS, "still shown", as_before("esp", "up", "cleared"), "still there"),
    fails("ESN-60", TUNNELS, "IKE cleared", retabled("udp", "cleared", drop("10.0.0.11")), "of 2 entries of UDP there are 1"),
    fails("ESN-60", TUNNELS, "ESP gets in", gets_in("esp cleared"), "crossed the NAT"),
    fails("ESN-60", TUNNELS, "a packet comes", arrives("esp cleared"), "came to"),
    fails("ESN-60", TUNNELS, "IKE is lost", kept_out("the concentrator deletes its SAs", FrameKind.IKE), "0 got in"),
    doubtful("ESN-60", TUNNELS, "no IKE", silent("the concentrator deletes its SAs"), "nothing by IKE"),
    doubtful("ESN-60", TUNNELS, "IKE anew", spoke_meanwhile, "spoke IKE meanwhile"),
    doubtful("ESN-60", TUNNELS, "refused", reprinted("nat", f"{CLEAR} esp", text="% Invalid input"), "refused"),
    doubtful("ESN-60", TUNNELS, "a lossy capture", lossy(Side.INSIDE), "lost 3 frames"),
    passes("ESN-61", STORM, "6 clients are back"),
    fails("ESN-61", STORM, "nothing cleared", as_before("verbose", "before", "after"), "is still there"),
    fails("ESN-61", STORM, "ESP gets in", gets_in("all cleared"), "crossed the NAT"),
    fails("ESN-61", STORM, "one is never back", never_again("west-3"), "nothing came from outside to west-3"),
    fails("ESN-61", STORM, "one is lost later", nothing_came("exchange:west-4:east-1:after the storm"), "after the storm"),
    doubtful("ESN-61", STORM, "no clients", as_before("verbose", "after", "before"), "fewer than three"),
    doubtful("ESN-61", STORM, "not tried", not_done("all cleared")),
    passes("ESN-63", TUNNELS),
    fails("ESN-63", TUNNELS, "still shown", as_before("esp", "up", "cleared"), "still there"),
    fails("ESN-63", TUNNELS, "ESP gets in", gets_in("esp cleared"), "crossed the NAT"),
    fails("ESN-63", TUNNELS, "never made anew", nothing_came("exchange:west-2:east-1:anew"), "once the endpoints"),
    doubtful(
        "ESN-63", TUNNELS, "little time left", retabled("esp verbose", "up", sub("left 00:04:..", "left 00:00:09")), "s left before"
    ),
    doubtful("ESN-63", TUNNELS, "other SPIs", other_spis, "other SPIs"),
    doubtful("ESN-63", TUNNELS, "no capture inside", no_capture(Side.INSIDE), "no inside capture"),
)
