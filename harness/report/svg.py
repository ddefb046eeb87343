"""Drawings by hand: a matrix, the topology with the lost session and the box to blame, and the sequence diagram.

All sizes are in the drawing's own units, one of which is a pixel where it is shown at its natural size. Colours come from classes
that `style` defines; a drawing that stands alone carries that style with it.
"""

from __future__ import annotations

from harness.report.markup import Markup, tag
from harness.report.story import Headline, Matrix, Row, Story
from harness.report.style import SVG_STYLE

MAX_LANES = 8


def standing_alone(drawing: Markup) -> str:
    """The same drawing as a file of its own."""
    head, _, rest = drawing.partition(">")
    named = head.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{named}><style>{SVG_STYLE}</style>{rest}\n'


def _svg(width: float, height: float, label: str, *children: Markup) -> Markup:
    return tag(
        "svg",
        tag("title", label),
        *children,
        viewBox=f"0 0 {width:g} {height:g}",
        width=width,
        height=height,
        role="img",
        class_="drawing",
    )


def _label(x: float, y: float, text: str, class_: str = "", anchor: str = "start") -> Markup:
    return tag("text", text, x=x, y=y, class_=class_ or None, text_anchor=anchor)


def matrix(drawn: Matrix) -> Markup:
    """A heat map with the numbers in it."""
    cell, left, top = 56, 24 + 8 * max((len(row) for row in drawn.rows), default=0), 64
    widest = max((len(str(item)) for row in drawn.cells for item in row if item is not None), default=1)
    width = max(cell, 16 + 8 * widest, *(16 + 8 * len(column) for column in drawn.columns))
    parts = [_label(0, 18, drawn.title, "strong")]
    for c, column in enumerate(drawn.columns):
        parts.append(_label(left + c * width + width / 2, top - 10, column, "muted", "middle"))
    for r, row in enumerate(drawn.rows):
        y = top + r * 40
        parts.append(_label(left - 10, y + 25, row, "muted", "end"))
        for c in range(len(drawn.columns)):
            kind = "bad" if (r, c) in drawn.bad else "good" if (r, c) in drawn.good else "plain"
            item = drawn.cells[r][c]
            parts.append(tag("rect", x=left + c * width, y=y, width=width - 3, height=37, rx=4, class_=f"cell-{kind}"))
            shown = "" if item is None else str(item)
            parts.append(_label(left + c * width + (width - 3) / 2, y + 24, shown, f"on-{kind}", "middle"))
    return _svg(
        max(left + len(drawn.columns) * width + 8, 8 * len(drawn.title)), top + len(drawn.rows) * 40 + 8, drawn.title, *parts
    )


def topology(story: Story) -> Markup:
    """Clients, NAT and gateway as boxes: lost clients crossed out, the box to blame in red."""
    head = story.headline
    shown = _lanes(story)
    hidden = len(story.clients) - len(shown)
    height = max(2, len(shown) + (1 if hidden else 0)) * 44 + 12
    middle = height / 2
    parts = []
    for number, client in enumerate(shown):
        y = 8 + number * 44
        lost, killer = client in head.victims, client in head.killers
        missing = client in head.never_up
        kind = "lost" if lost or missing else "doubt" if head.tone.open else "alive"
        parts.append(tag("path", d=f"M150 {y + 18} C190 {y + 18} 190 {middle:g} 230 {middle:g}", class_=f"link link-{kind}"))
        parts.append(tag("rect", x=10, y=y, width=140, height=36, rx=6, class_=f"box box-{kind}"))
        said = "lost" if lost else "never up" if missing else "not judged" if kind == "doubt" else "newcomer" if killer else "lives"
        said = "ended as planned" if said == "lives" and client in head.ended else said
        parts.append(_label(24, y + 23, client, f"strong on-{kind}"))
        parts.append(_label(138, y + 23, said, f"on-{kind}", "end"))
        if lost:
            parts.append(tag("path", d=f"M163 {y + 8} l20 20 m0 -20 l-20 20", class_="cross"))
    if hidden:
        parts.append(_label(14, 8 + len(shown) * 44 + 23, f"and {hidden} more clients", "muted"))
    parts += _device(230, middle, "NAT", head, "nat")
    parts.append(tag("path", d=f"M330 {middle:g} L400 {middle:g}", class_="link"))
    parts += _device(400, middle, "gateway", head, "gateway")
    return _svg(520, height, "who lost the session, and which box is to blame", *parts)


def _device(x: float, middle: float, name: str, head: Headline, key: str) -> list[Markup]:
    blamed = key in head.blame
    parts = [tag("rect", x=x, y=middle - 24, width=100, height=48, rx=6, class_="box box-blamed" if blamed else "box box-device")]
    parts.append(_label(x + 50, middle + (-2 if blamed else 5), name, "strong on-blamed" if blamed else "strong", "middle"))
    if blamed:
        parts.append(_label(x + 50, middle + 15, "to blame", "on-blamed", "middle"))
    return parts


def diagram(story: Story) -> Markup:
    """Time runs down. A lane for each client, the NAT and the gateway; a deciding packet is bold, a misdelivered one red."""
    lanes = _lanes(story)
    strangers = [row.client for row in story.sequence if row.client not in lanes]
    if strangers:
        lanes = (*lanes, "others")
    step, left, gap, top = 34, 86, 118, 56
    x = {lane: left + 50 + number * gap for number, lane in enumerate(lanes)}
    nat = left + 50 + len(lanes) * gap + 40
    gateway = nat + 230
    height = top + 20 + step * len(story.sequence)
    parts = [
        tag("rect", x=0, y=top - 5 + number * step, width=gateway + 120, height=step - 2, class_="deciding")
        for number, row in enumerate(story.sequence)
        if row.deciding
    ]
    for name, at in [*((lane, x[lane]) for lane in lanes), ("NAT", nat), ("gateway", gateway)]:
        lost = name in story.headline.victims
        parts.append(tag("line", x1=at, y1=top - 16, x2=at, y2=height - 8, class_="lane lane-lost" if lost else "lane"))
        parts.append(_label(at, top - 24, name, "strong on-lost-lane" if lost else "strong", "middle"))
    start = story.sequence[0].t if story.sequence else 0.0
    for number, row in enumerate(story.sequence):
        y = top + 16 + number * step
        parts.append(_label(left - 14, y, f"{row.t - start:+.3f} s", "time", "end"))
        parts += _arrow(row, y, x.get(row.client, x.get("others", left)), nat, gateway)
    return _svg(gateway + 130, height, "the deciding packets", *parts)


def _arrow(row: Row, y: float, client: float, nat: float, gateway: float) -> list[Markup]:
    near, far = (client, nat) if row.reach == "inside" else (nat, gateway) if row.reach == "outside" else (client, gateway)
    kind = "wrong" if row.wrong else "decides" if row.deciding else "usual"
    parts = [tag("line", x1=near, y1=y, x2=far, y2=y, class_=f"arrow arrow-{kind}")]
    if row.up:
        parts.append(tag("path", d=f"M{far:g} {y:g} l-9 -5 v10 z", class_=f"tip tip-{kind}"))
    if row.down:
        parts.append(tag("path", d=f"M{near:g} {y:g} l9 -5 v10 z", class_=f"tip tip-{kind}"))
    if row.reach == "all":
        parts.append(tag("circle", cx=nat, cy=y, r=3.5, class_=f"tip tip-{kind}"))
    count = "" if row.up + row.down == 1 else f": {row.up} up, {row.down} down"
    lost_at = {"inside": ", not seen behind the NAT", "outside": ", not seen inside"}.get(row.reach, "")
    parts.append(_label(near + 12 if near == client else nat + 12, y - 6, f"{row.label}{count}{lost_at}", f"says says-{kind}"))
    numbers = " · ".join(f"{side} {n}" for side, n in zip(("in", "out"), row.frames, strict=True) if n)
    parts.append(_label(gateway + 10, y + 4, f"#{numbers}" if numbers else "", "time"))
    return parts


def _lanes(story: Story) -> tuple[str, ...]:
    """At most MAX_LANES clients: those that lost, their killer and those in the diagram come before the rest."""
    told = {row.client for row in story.sequence if row.deciding or row.wrong}
    weight = {
        client: (client not in story.headline.victims, client not in story.headline.killers, client not in told)
        for client in story.clients
    }
    chosen = sorted(story.clients, key=lambda client: (weight[client], story.clients.index(client)))[:MAX_LANES]
    return tuple(client for client in story.clients if client in chosen)
