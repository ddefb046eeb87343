from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from harness.model import FrameKind, Side
from harness.report.matrices import matrices
from harness.report.sequence import MAX_ROWS, packets, sequence


def test_deciding_packets_stand_alone_and_the_rest_is_counted(evidence_of, tmp_path: Path) -> None:
    evidence, _ = evidence_of("plain", tmp_path, kill=True)
    rows, omitted = sequence(evidence, [("outside", 46), ("outside", 48)])
    assert omitted == 0
    deciding = [row for row in rows if row.deciding]
    assert [(row.label, row.client, row.frames) for row in deciding] == [
        ("QM3", "c2", (46, 46)),
        ("mark 9 of c1, answer", "c2", (48, 48)),
    ]
    assert deciding[1].wrong
    after = rows[rows.index(deciding[1]) + 1 :]
    silent = next(row for row in after if row.client == "c1" and row.label == "marked traffic")
    assert (silent.up, silent.down) == (20, 0)
    stolen = next(row for row in after if row.wrong)
    assert (stolen.client, stolen.label, stolen.down) == ("c2", "marked traffic of c1", 10)
    assert sum(row.up + row.down for row in rows) == len(packets(evidence))


def test_a_packet_seen_on_one_side_only_says_how_far_it_came(evidence_of, tmp_path: Path) -> None:
    evidence, _ = evidence_of("plain", tmp_path, kill=False)
    rows, _ = sequence(replace(evidence, pairs=evidence.pairs[1:]), [])
    assert {row.reach for row in rows} == {"all", "inside", "outside"}
    lost = next(row for row in rows if row.reach == "inside")
    assert lost.frames == (1, 0)
    seen = next(row for row in rows if row.reach == "outside")
    assert (seen.client, seen.frames) == ("c1", (0, 1))


def test_a_long_scenario_keeps_what_is_near_the_deciding_packets(evidence_of, tmp_path: Path) -> None:
    evidence, _ = evidence_of("plain", tmp_path, kill=False)
    wanted = [("inside", frame) for frame in range(1, 13)]
    outside = evidence.observations[Side.OUTSIDE]
    many = tuple(replace(o, ike={"exchange": f"exchange {o.frame}", "message": "X"}, kind=FrameKind.IKE) for o in outside)
    inside = tuple(
        replace(o, ike={"exchange": f"exchange {o.frame}"}, kind=FrameKind.IKE) for o in evidence.observations[Side.INSIDE]
    )
    rows, omitted = sequence(replace(evidence, observations={Side.INSIDE: inside, Side.OUTSIDE: many}), wanted)
    assert len(rows) == MAX_ROWS
    assert omitted == len(outside) - MAX_ROWS
    assert sum(row.deciding for row in rows) == 12
    assert [row.t for row in rows] == sorted(row.t for row in rows)


def test_tables_among_the_facts_are_found_and_coloured(evidence_of, tmp_path: Path) -> None:
    _, verdicts = evidence_of("plain", tmp_path, kill=True)
    kills, confusion = matrices(verdicts)
    assert kills.title == "Who killed whom"
    assert (kills.rows, kills.columns) == (("c1", "c2"), ("c1", "c2"))
    assert kills.bad == ((0, 1),)
    assert confusion.rows == confusion.columns == ("c1", "c2")
    assert confusion.cells == ((8, 11), (0, 20))
    assert (confusion.good, confusion.bad) == (((0, 0), (1, 1)), ((0, 1),))


def test_what_nobody_owns_shows_only_where_there_is_some(evidence_of, tmp_path: Path) -> None:
    _, verdicts = evidence_of("plain", tmp_path, kill=True)
    verdicts["confusion"].facts["confusion"]["cells"]["c2"]["nobody"] = 3
    _, confusion = matrices(verdicts)
    assert confusion.columns == ("c1", "c2", "nobody")
    assert (1, 2) in confusion.bad
