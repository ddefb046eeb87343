"""Traffic control on an interface: what of it can be given back after the interface has moved, and what forbids to take it.

The kernel drops queueing disciplines, classes and filters of an interface that moves to another namespace. What somebody has set
up there has a handle of its own; what the kernel has put there by itself has handle 0:, and is put there again. `tc` does not show
things in the words in which it takes them, so that a discipline is rehearsed: set up on an interface in a namespace that is made
for it and goes with it. One that does not look there as it looks here, and all that has classes or filters, is not to be restored.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from harness.errors import LabError
from harness.lab import tools

Words = tuple[str, ...]

_DEFAULT = "0:"
_INGRESS = ("ingress", "clsact")
_WITH_CLASSES = ("tbf", "mq", "fq_codel", "sfq", "cake", "fq_pie")
"""Disciplines that show classes which nobody has made: they come with them."""
_FILTERS_AT = ((), ("ingress",), ("egress",))
"""Where filters are asked for beside those of the disciplines: what `tc filter show dev X` takes."""

# How the discipline is, and is not to be said: counters, and what follows from the rest.
_TOLD = re.compile(r" (refcnt \d+|ver \S+|direct_packets_stat \d+|mpu 0b|\[\w+\]|-{4,})(?= |$)")
# Numbers with a unit that is understood, and not read: "limit 50p", "burst 10Kb/1".
_UNIT = re.compile(r"^(\d+)p$|^(\d+[KMG]?b)/\d+$")

_REHEARSE = """
ip link add {name} type veth peer name {peer} || exit 1
{command} || exit 1
echo rehearsed
tc -j qdisc show dev {name}
"""


@dataclass(frozen=True, slots=True)
class Traffic:
    """`disciplines` as `tc qdisc replace dev X` takes them. `in_the_way`: phrases that name what could not be given back."""

    disciplines: tuple[Words, ...] = ()
    in_the_way: tuple[str, ...] = ()


def look(name: str) -> Traffic:
    """Of an interface of this process's namespace. LabError where that cannot be found out."""
    step = f"look at traffic control on {name}"
    rows = shown(tools.run(["tc", "qdisc", "show", "dev", name], step=step).stdout)
    classes = tools.run(["tc", "class", "show", "dev", name], step=step).stdout
    at = [*_FILTERS_AT, *(("parent", handle) for _, handle, _ in rows)]
    asked = (tools.run(["tc", "filter", "show", "dev", name, *words], step=step, accept=(0, 1, 2)) for words in at)
    filters = "".join(one.stdout for one in asked if one.returncode == 0)  # where there is no such place there is no filter
    way = tuple(in_the_way(rows, classes, filters))
    if way or not rows:
        return Traffic((), way)
    # In words a rate is rounded: as JSON it is not.
    exactly = exact(tools.run(["tc", "-j", "qdisc", "show", "dev", name], step=step).stdout)
    wanted = tuple(given(row) for row in rows)
    kept = zip(rows, wanted, exactly, strict=True)
    if other := tuple(_phrase(row) for row, words, one in kept if _rehearsed(name, words) != [one]):
        return Traffic((), other)
    return Traffic(wanted)


def give_back(name: str, disciplines: Iterable[Words], step: str) -> None:
    """May be done again. LabError."""
    for words in disciplines:
        tools.run(["tc", "qdisc", "replace", "dev", name, *words], step=step)


def cure(name: str) -> str:
    return f"take it away (tc qdisc del dev {name} root; tc qdisc del dev {name} clsact), or name another interface"


Row = tuple[str, str, str]
"""Kind, handle, and where and how, as shown."""


def shown(text: str) -> list[Row]:
    """From `tc qdisc show dev X`, the disciplines that somebody has set up, without counters."""
    rows = []
    for line in text.splitlines():
        words = _TOLD.sub("", " ".join(line.split())).split()
        if len(words) > 2 and words[0] == "qdisc" and words[2] != _DEFAULT:
            rows.append((words[1], words[2], " ".join(words[3:])))
    return rows


def exact(text: str) -> list[Any]:
    """From `tc -j qdisc show dev X`, the same, to be compared."""
    rows = [row for row in json.loads(text or "[]") if row.get("handle") != _DEFAULT]
    for row in rows:
        row.pop("refcnt", None)
        row.get("options", {}).pop("direct_packets_stat", None)
    return rows


def given(row: Row) -> Words:
    """In tc's own words."""
    kind, handle, rest = row
    if kind in _INGRESS:
        return (kind,)
    words = [_UNIT.sub(r"\1\2", word) for word in rest.split()]
    place = words[:1] if words[:1] == ["root"] else words[:2]
    return (*place, "handle", handle, kind, *_options(words[len(place) :]))


def in_the_way(rows: Iterable[Row], classes: str, filters: str) -> Iterator[str]:
    """Of what cannot be given back whatever it is. A discipline below another one is a class's."""
    own = [kind for kind in re.findall(r"^class (\S+)", classes, re.MULTILINE) if kind not in _WITH_CLASSES]
    if own:
        yield f"{len(own)} traffic class{'' if len(own) == 1 else 'es'} ({', '.join(dict.fromkeys(own))})"
    if filters.strip():
        kinds = dict.fromkeys(re.findall(r"pref \d+ (\S+)", filters))
        yield "filters" + (f" ({', '.join(kinds)})" if kinds else "")
    yield from (_phrase(row) for row in rows if row[2].split()[:1] == ["parent"] and row[0] not in _INGRESS)


def _options(words: list[str]) -> list[str]:
    """tbf says "lat", and takes "latency"; pfifo_fast takes nothing that it shows."""
    found = ["latency" if word == "lat" else word for word in words]
    return [] if found[:1] == ["bands"] and "priomap" in found else found


def _phrase(row: Row) -> str:
    return f"the queueing discipline {' '.join(row[:2])}"


def _rehearsed(name: str, wanted: Words) -> list[Any] | None:
    """What is shown where this is set up anew; None where it cannot be. The namespace goes with the process."""
    command = shlex.join(["tc", "qdisc", "replace", "dev", name, *wanted])
    script = _REHEARSE.format(name=name, peer="rehearsal0" if name != "rehearsal0" else "rehearsal1", command=command)
    try:
        said = tools.run(["unshare", "--net", "bash", "-c", script], step="rehearse").stdout
    except LabError:
        return None
    return exact(said.partition("rehearsed\n")[2])
