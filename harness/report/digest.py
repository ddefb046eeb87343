"""Evidence and verdicts of one scenario → the Story that the report tells. Everything is redacted on the way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.model import Evidence, Identity, Outcome, Record, RecordKind, Verdict
from harness.report.blame import deciding, headline
from harness.report.matrices import matrices
from harness.report.redact import Redactor
from harness.report.sequence import sequence
from harness.report.steps import StepNode
from harness.report.story import FileLink, Headline, StepLine, Story, Tone

TEXT_LIMIT = 30_000
"""Characters of a log that the page shows: its end. The whole is in the scenario's folder."""

TOLD = {
    RecordKind.STARTED: "first datagram",
    RecordKind.STAGE: "reached",
    RecordKind.PEER_DELETE: "the gateway deleted an SA",
    RecordKind.FAILED: "set-up failed",
    RecordKind.ENDED: "ended",
    RecordKind.IMPAIRED: "the generator fell behind",
}
"""The records that appear below the scenario's steps."""

IDENTITY_HEADINGS = {
    "client": "client",
    "inside": "inside address",
    "inside_ike_port": "IKE port",
    "inside_natt_port": "NAT-T port",
    "outside": "NAT address",
    "outside_ike_port": "NAT port for 500",
    "outside_natt_port": "NAT port for 4500",
    "outside_l2tp_port": "NAT port for 1701",
    "cookies": "IKE cookies",
    "spis_in": "SPIs to client",
    "spis_out": "SPIs to gateway",
    "gateway_port": "port at the gateway",
    "tunnel_client": "tunnel ID, client",
    "tunnel_gateway": "tunnel ID, gateway",
    "session_client": "session ID, client",
    "session_gateway": "session ID, gateway",
    "user": "PPP user",
    "ppp_address": "PPP address",
}


def tell(
    evidence: Evidence,
    verdicts: Mapping[str, Verdict],
    *,
    run_folder: Path,
    scenario_folder: Path,
    redactor: Redactor,
    head: Headline | Iterable[str] | None = None,
    steps: Iterable[StepNode] = (),
) -> Story:
    """`verdicts` by subject ("survival", "who killed whom", "confusion" …), the one that matters most first.

    `head` takes the place of the headline that is drawn from the verdicts, or as a string or strings that of its sentence. `steps`
    is the tree that the bus gave; without it, the evidence's own steps are told, with the clients' records nested in them.
    """
    rows, omitted = sequence(evidence, deciding(verdicts))
    nodes = tuple(steps)
    story = Story(
        scenario=evidence.scenario,
        testbed=evidence.testbed,
        variant=evidence.variant,
        began=_began(evidence),
        headline=_headline(evidence, verdicts, head),
        clients=tuple(plan.name for plan in evidence.plans),
        sentences=tuple((subject, v.outcome.value, v.because) for subject, v in verdicts.items()),
        trouble=evidence.trouble,
        matrices=matrices(verdicts),
        identity=identity_table(evidence.identities),
        sequence=rows,
        omitted=omitted,
        steps=tuple(_flat(nodes)) if nodes else tuple(_from_evidence(evidence)),
        files=tuple(_files(evidence, run_folder, scenario_folder)),
        gateway=tuple(_gateway(evidence)),
    )
    return _redacted(story, redactor)


def _headline(evidence: Evidence, verdicts: Mapping[str, Verdict], head: Headline | Iterable[str] | None) -> Headline:
    if isinstance(head, Headline):
        return head
    drawn = headline(evidence, verdicts)
    said = head if isinstance(head, str) else " ".join(head or ())
    return replace(drawn, sentence=said) if said else drawn


def broken(
    scenario: str, testbed: str, variant: str, reason: str, *, began: float, steps: Iterable[StepNode], redactor: Redactor
) -> Story:
    """The story of a scenario that left no evidence: the lab did not come up, or playing it broke off."""
    sentence = f"nothing can be said of the gateway: {reason}"
    told = Story(
        scenario=scenario,
        testbed=testbed,
        variant=variant,
        began=began,
        headline=Headline(Tone.UNTRUSTED, sentence),
        clients=(),
        sentences=(("lab", Outcome.INCONCLUSIVE.value, sentence),),
        trouble=(reason,),
        steps=tuple(_flat(tuple(steps))),
    )
    return _redacted(told, redactor)


def identity_table(identities: Iterable[Identity]) -> tuple[tuple[str, ...], ...]:
    """Heading row, then one row a client; several values in a cell are parted by spaces, a cookie pair by a colon."""
    rows = (tuple(_cell(getattr(identity, name)) for name in IDENTITY_HEADINGS) for identity in identities)
    return (tuple(IDENTITY_HEADINGS.values()), *rows)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple | list):
        return " ".join(":".join(item) if isinstance(item, tuple | list) else str(item) for item in value)
    return str(value)


def _began(evidence: Evidence) -> float:
    return min([*(step.began for step in evidence.steps), *(record.t for record in evidence.records)], default=0.0)


def _from_evidence(evidence: Evidence) -> Iterable[StepLine]:
    told = sorted((r for r in evidence.records if r.kind in TOLD), key=lambda r: r.t)
    for number, step in enumerate(evidence.steps):
        yield StepLine(0, step.name, step.began, step.ended, clients=step.clients)
        last = number == len(evidence.steps) - 1
        until = float("inf") if last else evidence.steps[number + 1].began
        after = float("-inf") if number == 0 else step.began
        for record in (r for r in told if after <= r.t < until):
            problem = record.kind in (RecordKind.FAILED, RecordKind.IMPAIRED)
            name = _in_words(record)
            yield StepLine(1, name, record.t, record.t, problem=name if problem else "", clients=(record.client,))


def _in_words(record: Record) -> str:
    data = record.data
    detail = {
        RecordKind.STAGE: f"{data.get('stage')} after {_seconds(data.get('took'))}",
        RecordKind.FAILED: f"{data.get('stage')}: {data.get('reason')}",
        RecordKind.ENDED: f"by {data.get('by')}: {data.get('cause')}",
        RecordKind.IMPAIRED: f"{data.get('reason')}",
        RecordKind.PEER_DELETE: f"{data.get('protocol')} {_cell(data.get('spis'))}",
    }.get(record.kind, "")
    return f"{record.client}: {TOLD[record.kind]} {detail}".strip()


def _seconds(value: Any) -> str:
    return f"{value:.3f} s" if isinstance(value, int | float) else "unknown time"


def _flat(nodes: Iterable[StepNode], depth: int = 0) -> Iterable[StepLine]:
    for node in nodes:
        client = node.detail.get("client")
        clients = (str(client),) if client is not None else ()
        ended = node.began if node.ended is None else node.ended
        yield StepLine(depth, node.name, node.began, ended, node.problem or "", clients)
        yield from _flat(node.children, depth + 1)


def _files(evidence: Evidence, run_folder: Path, scenario_folder: Path) -> Iterable[FileLink]:
    named: list[tuple[str, Path, str]] = []
    for capture in evidence.captures:
        doubt = "" if capture.complete and not capture.dropped else f", {capture.dropped} dropped, complete: {capture.complete}"
        note = f"{capture.frames} frames on {capture.interface}{doubt}"
        named.append((f"{capture.side.value} capture", Path(capture.path), note))
    named += [(title, Path(path), "") for title, path in evidence.attachments.items()]
    for name, title, note in (
        ("decrypted.pcap", "decrypted capture", ""),
        ("far-end.pcap", "far-end capture", ""),
        ("records.jsonl", "client records", "one record a line"),
        ("steps.jsonl", "steps", "as they happened"),
        ("gateway", "gateway state and logs", "folder"),
        ("tshark-keys", "key folder for Wireshark", "folder; holds this run's session keys: share it with care"),
    ):
        named.append((title, scenario_folder / name, note))
    seen: set[Path] = set()
    for title, path, note in named:
        whole = path if path.is_absolute() or path.exists() else scenario_folder / path
        resolved = whole.resolve()
        if resolved in seen or resolved.name == "keys.jsonl" or (not whole.exists() and path.parent == scenario_folder):
            continue
        seen.add(resolved)
        if resolved.is_relative_to(run_folder.resolve()):
            shown = resolved.relative_to(run_folder.resolve()).as_posix()
        else:
            shown = resolved.as_posix()
        size = -1 if not whole.exists() else whole.stat().st_size if whole.is_file() else 0
        yield FileLink(title, shown, size, note)


def _gateway(evidence: Evidence) -> Iterable[tuple[str, str]]:
    for view in evidence.gateway_views:
        for command, text in view.texts.items():
            yield f"{view.label}: {command}", _tail(text)
    for title, text in evidence.logs.items():
        yield title, _tail(text)


def _tail(text: str) -> str:
    cut = len(text) - TEXT_LIMIT
    return text if cut <= 0 else f"[{cut} characters before this are in the scenario's folder]\n{text[-TEXT_LIMIT:]}"


def _redacted(story: Story, redactor: Redactor) -> Story:
    """Names of files and clients stay; every sentence and text goes through the redactor."""
    clean = redactor.text
    return replace(
        story,
        headline=replace(story.headline, sentence=clean(story.headline.sentence), where=clean(story.headline.where)),
        sentences=tuple((subject, outcome, clean(said)) for subject, outcome, said in story.sentences),
        trouble=tuple(clean(reason) for reason in story.trouble),
        identity=tuple(tuple(clean(cell) for cell in row) for row in story.identity),
        sequence=tuple(replace(row, label=clean(row.label)) for row in story.sequence),
        steps=tuple(replace(step, name=clean(step.name), problem=clean(step.problem)) for step in story.steps),
        gateway=tuple((clean(title), clean(text)) for title, text in story.gateway),
    )
