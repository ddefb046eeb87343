"""summary.html: the run on one page that needs nothing but itself. Pure: the same input gives the same bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import quote

from harness.report import svg
from harness.report.markup import Child, Markup, join, tag
from harness.report.outcome import compact
from harness.report.result import CaseOutcome, CaseResult
from harness.report.run import Archive, State
from harness.report.story import FileLink, Kill, Matrix, Story, Tone
from harness.report.style import PAGE_STYLE, SVG_STYLE
from harness.report.summary import Summary

FIRST = (CaseOutcome.FAILED, CaseOutcome.INCONCLUSIVE, CaseOutcome.PASSED, CaseOutcome.RECORDED, CaseOutcome.SKIPPED)
"""The order of the table: what needs a reader comes first."""

BOXES = {"gateway": "the gateway", "nat": "the NAT", "client": "the client itself"}

ANSWERS = (Tone.LOST, Tone.UNTRUSTED, Tone.UNDECIDED, Tone.SURVIVED, Tone.PLAYED)


def page(archive: Archive, summary: Summary, stories: Sequence[Story], *, allure: str = "", cure: str = "") -> str:
    """`allure` is the path of the Allure report relative to the page, empty where there is none; then `cure` says how to get it."""
    body = [
        _head(archive, summary, allure, cure),
        tag(
            "main",
            tag("h2", "Who lost the session?"),
            tag("section", _answers(stories), class_="answers")
            if stories
            else tag("p", "No scenario was played.", class_="quiet"),
            _behaviours(archive, summary),
            [_scenario(story) for story in stories],
            tag("h2", "This run"),
            _about(archive),
        ),
    ]
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", f"Natstorm · {archive.id}"),
        tag("style", Markup(PAGE_STYLE + SVG_STYLE)),
    )
    return "<!DOCTYPE html>\n" + tag("html", head, tag("body", body), lang="en") + "\n"


def identity_page(story: Story) -> str:
    """The identity table as a page of its own, for the Allure attachment."""
    return _fragment(f"Identities · {story.name}", _table(story.identity))


def matrix_page(matrix: Matrix) -> str:
    return _fragment(matrix.title, _matrix(matrix))


def _fragment(title: str, content: Markup) -> str:
    head = tag("head", tag("meta", charset="utf-8"), tag("title", title), tag("style", Markup(PAGE_STYLE)))
    return "<!DOCTYPE html>\n" + tag("html", head, tag("body", tag("main", content)), lang="en") + "\n"


def _head(archive: Archive, summary: Summary, allure: str, cure: str) -> Markup:
    counts = [
        ("passed", summary.passed),
        ("failed", summary.failed),
        ("inconclusive", summary.inconclusive),
        ("recorded", summary.recorded),
        ("skipped", len(summary.skipped)),
    ]
    began = archive.began.strftime("%Y-%m-%d %H:%M:%S UTC")
    where = ", ".join(summary.testbeds) or "no testbed"
    links = [tag("a", "JUnit XML", href="junit.xml"), " · ", tag("a", "summary.json", href="summary.json")]
    if allure:
        links = [tag("a", "Allure report with every step", href=allure), " · ", *links]
    return tag(
        "header",
        tag("h1", f"Natstorm · {where}"),
        tag("div", f"{began}, {summary.duration_s:.1f} s, run {archive.id} · ", links, class_="quiet"),
        _banner(archive),
        tag("p", f"There is no Allure report for this run. {cure}", class_="banner") if cure else None,
        tag("ul", [tag("li", tag("b", n), name, class_=name if n else "none") for name, n in counts], class_="counts"),
    )


def _banner(archive: Archive) -> Markup | None:
    missing = f" {len(archive.not_run)} selected cases did not run." if archive.not_run else ""
    torn = " The last result was being written and is lost." if archive.torn else ""
    why = f" ({archive.why})" if archive.why else ""
    said = {
        State.INTERRUPTED: f"This run was interrupted{why}; what follows is what it had by then.",
        State.KILLED: "This run was killed before it could end; what follows is what it had by then.",
        State.RUNNING: "This run is still going on.",
    }.get(archive.state)
    return None if said is None else tag("p", said, missing, torn, class_="banner")


def _answers(stories: Sequence[Story]) -> list[Markup]:
    """Scenarios of which nothing can be said for the same reason share one answer."""
    shared: dict[str, list[str]] = {}
    for story in stories:
        if story.headline.tone.open:
            shared.setdefault(story.headline.sentence, []).append(_place(story))
    answers = []
    for story in most_telling(stories):
        places = shared.get(story.headline.sentence, [_place(story)]) if story.headline.tone.open else [_place(story)]
        if places[0] == _place(story):
            answers.append(_answer(story, places))
    return answers


def _place(story: Story) -> str:
    return f"{story.variant or story.testbed} · {story.scenario}"


def _answer(story: Story, places: Sequence[str]) -> Markup:
    """One scenario in five seconds: the short answer large, the drawing, the verdict's own sentence below."""
    head = story.headline
    when = "" if head.t is None else f", {head.t - story.began:.3f} s into the scenario"
    return tag(
        "article",
        tag("p", ", ".join(places), class_="where"),
        tag("p", short_answer(story), class_="verdict"),
        svg.topology(story) if story.clients else None,
        tag("p", head.remark, class_="said muted") if head.remark else None,
        tag("p", head.sentence, class_="said"),
        tag("p", tag("b", "Deciding packet: "), head.where, when, class_="said") if head.where else None,
        tag("a", "captures, matrices, packet diagram", href=f"#{_anchor(story)}"),
        class_=f"answer {head.tone.value}",
    )


def most_telling(told: Iterable[Story]) -> list[Story]:
    """Lost sessions first; within a tone, the order in which the scenarios began."""
    return sorted(told, key=lambda story: ANSWERS.index(story.headline.tone))


def short_answer(story: Story) -> str:
    """The headline's parts in one line: "c2 killed c1. To blame: the gateway."."""
    head = story.headline
    if head.tone is Tone.UNTRUSTED:
        return "Inconclusive: the evidence is not to be trusted"
    blame = f" To blame: {_listed([BOXES.get(box, box) for box in head.blame])}." if head.blame else ""
    if head.tone is Tone.UNDECIDED:
        return f"Inconclusive: survival cannot be judged.{blame}"
    if head.tone is Tone.PLAYED:
        return "Played: the behaviours judge it"
    if head.tone is Tone.SURVIVED:
        count = len(story.clients)
        if head.never_up:
            return f"{_listed(head.never_up)} did not come up, as it must be"
        if head.ended:
            return "No client lost its session to another"
        if count < 2:
            return f"{story.clients[0]} keeps its session" if count else "All is well"
        return f"{'Both' if count == 2 else f'All {count}'} clients keep their sessions"
    said = [_killed(kill) for kill in head.kills]
    if head.never_up:
        said.append(f"{_listed(head.never_up)} never came up")
    return f"{'; '.join(said) or 'Not as it must be'}.{blame}"


def _killed(kill: Kill) -> str:
    lost = _listed(kill.victims)
    if kill.killer:
        return f"{kill.killer} {'killed' if kill.certain else 'probably killed'} {lost}"
    return f"{lost} lost {'its session' if len(kill.victims) == 1 else 'their sessions'}"


def _behaviours(archive: Archive, summary: Summary) -> Markup:
    ordered = sorted(archive.results, key=lambda r: (FIRST.index(r.outcome), r.case.id, r.case.variant, r.case.nodeid))
    told: dict[str, CaseResult] = {}
    for result in ordered:
        if result.outcome is CaseOutcome.INCONCLUSIVE and result.because:
            told.setdefault(result.because, result)
    rows = [_result(result, told.get(result.because, result)) for result in ordered]
    rows += [
        tag(
            "tr",
            _td(case.id),
            _td(case.title),
            _td(case.variant),
            tag("td", _chip("skipped")),
            _td("not run: the run ended before its turn"),
        )
        for case in archive.not_run
    ]
    heading = tag("tr", [tag("th", name) for name in ("behaviour", "what", "variant", "outcome", "the verdict's words")])
    return join(
        [
            tag("h2", f"Behaviours ({summary.asserted} asserted, {summary.recorded} recorded, {len(summary.skipped)} skipped)"),
            tag("div", tag("table", tag("thead", heading), tag("tbody", rows)), class_="card scroll")
            if rows
            else tag("p", "None ran."),
        ]
    )


def _result(result: CaseResult, first: CaseResult) -> Markup:
    """`first` is the case whose row gives the reason in full, where several are inconclusive for the same one."""
    case = result.case
    because = result.because if first is result else f"as {first.case.id} [{first.case.variant}]"
    more: list[Child] = []
    if result.frames:
        frames = ", ".join(f"{side} {number}" for side, number in result.frames[:12])
        dots = " …" if len(result.frames) > 12 else ""
        more.append(tag("div", "frames: ", tag("span", frames, dots, class_="mono"), class_="quiet"))
    if result.outcome is CaseOutcome.RECORDED:
        more.append(tag("div", "observed: ", tag("span", compact(result.recorded), class_="mono")))
    facts = [tag("li", tag("b", name), f": {compact(value)}") for name, value in result.facts.items()]
    if facts:
        more.append(tag("details", tag("summary", f"{len(facts)} facts"), tag("ul", facts, class_="mono")))
    if result.error:
        more.append(tag("details", tag("summary", "traceback"), tag("pre", result.error)))
    return tag(
        "tr",
        tag("td", tag("b", case.id), tag("div", " ".join(filter(None, (case.source, case.kind))), class_="quiet")),
        _td(case.title),
        tag("td", case.variant, tag("div", case.scenario, class_="quiet")),
        tag("td", _chip(result.outcome.value)),
        tag("td", because, more, class_="sentence"),
        id=None,
    )


def _scenario(story: Story) -> Markup:
    parts: list[Child] = [tag("h2", f"{story.variant or story.testbed} · {story.scenario}")]
    inside: list[Child] = []
    if story.sentences:
        inside.append(tag("h3", "Verdicts"))
        inside.append(
            tag(
                "table",
                [tag("tr", _td(s), tag("td", _chip(o)), tag("td", said, class_="sentence")) for s, o, said in story.sentences],
            )
        )
    if story.trouble:
        inside.append(tag("h3", "Why the evidence is in doubt"))
        inside.append(tag("ul", [tag("li", reason) for reason in story.trouble]))
    if story.sequence:
        note = f" {story.omitted} packets further away from the deciding ones are left out." if story.omitted else ""
        inside.append(tag("h3", "The deciding packets"))
        inside.append(
            tag(
                "p",
                f"Frame numbers are those of the inside and outside captures. Red: delivered to the wrong client.{note}",
                class_="quiet",
            )
        )
        inside.append(tag("div", svg.diagram(story), class_="scroll"))
    if story.matrices:
        inside.append(tag("div", [tag("div", _matrix(m)) for m in story.matrices], class_="matrices"))
    if len(story.identity) > 1:
        inside.append(tag("h3", "Who is who at every layer"))
        inside.append(tag("div", _table(story.identity), class_="scroll"))
    if story.files:
        inside.append(tag("h3", "Captures and other files"))
        inside.append(tag("table", [_file(file) for file in story.files]))
    if story.steps:
        inside.append(tag("details", tag("summary", f"Steps ({len(story.steps)})"), _steps(story)))
    inside += [tag("details", tag("summary", f"Gateway: {title}"), tag("pre", text)) for title, text in story.gateway]
    parts.append(tag("div", inside, class_="card"))
    return tag("section", parts, id=_anchor(story))


def _matrix(matrix: Matrix) -> Markup:
    heading = tag("tr", tag("th", ""), [tag("th", column) for column in matrix.columns])
    rows = [
        tag("tr", tag("th", name), [tag("td", matrix.cells[r][c], class_=_kind(matrix, r, c)) for c in range(len(matrix.columns))])
        for r, name in enumerate(matrix.rows)
    ]
    return join(
        [
            tag("h3", matrix.title),
            tag("p", matrix.reading, class_="quiet") if matrix.reading else None,
            tag("div", tag("table", heading, rows, class_="matrix"), class_="scroll"),
        ]
    )


def _kind(matrix: Matrix, row: int, column: int) -> str | None:
    return "bad" if (row, column) in matrix.bad else "good" if (row, column) in matrix.good else None


def _table(rows: Sequence[Sequence[str]]) -> Markup:
    """The identity table turned on its side where there are few clients: a column each is easier to compare."""
    heading, content = rows[0], rows[1:]
    if len(content) > 6:
        return tag(
            "table", tag("tr", [tag("th", cell) for cell in heading]), [tag("tr", [_td(c, "mono") for c in row]) for row in content]
        )
    turned = zip(heading, *content, strict=True)
    return tag("table", [tag("tr", tag("th", name), [_td(cell, "mono") for cell in cells]) for name, *cells in turned])


def _file(file: FileLink) -> Markup:
    size = "missing" if file.bytes < 0 else "folder" if file.bytes == 0 and "folder" in file.note else _size(file.bytes)
    name: Child = file.path if file.bytes < 0 else tag("a", file.path, href=_href(file.path))
    return tag("tr", _td(file.title), tag("td", name, class_="mono"), _td(size), _td(file.note))


def _href(path: str) -> str:
    return quote(path)


def _size(count: int) -> str:
    return f"{count} bytes" if count < 10_000 else f"{count / 1024:.0f} KiB" if count < 2**20 else f"{count / 2**20:.1f} MiB"


def _steps(story: Story) -> Markup:
    lines = []
    for step in story.steps:
        took = f"{step.ended - step.began:.3f} s" if step.ended > step.began else ""
        name = tag(
            "span",
            step.name,
            f" [{', '.join(step.clients)}]" if step.clients and step.depth == 0 else "",
            style=f"padding-left:{step.depth * 22}px",
        )
        problem = tag("span", f" — {step.problem}", class_="problem") if step.problem and step.problem != step.name else None
        stamp = tag("span", f"{step.began - story.began:+.3f} s", class_="mono quiet")
        lines.append(
            tag(
                "li",
                stamp,
                tag("span", took, class_="mono quiet"),
                tag("span", name, problem, class_="problem" if step.problem else None),
            )
        )
    return tag("ol", lines, class_="steps")


def _about(archive: Archive) -> Markup:
    rows = [("state", archive.state.value), ("began", archive.began.isoformat())]
    rows += [("ended", archive.ended.isoformat())] if archive.ended is not None else []
    rows += [(str(name), compact(value)) for name, value in archive.about.items()]
    return tag("div", tag("table", [tag("tr", tag("th", name), _td(value, "mono")) for name, value in rows]), class_="card")


def _listed(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def _td(content: Child, class_: str | None = None) -> Markup:
    return tag("td", content, class_=class_)


def _chip(outcome: str) -> Markup:
    return tag("span", outcome, class_=f"chip {outcome}")


def _anchor(story: Story) -> str:
    return "scenario-" + "".join(character if character.isalnum() else "-" for character in story.name)
