"""From records to numbers."""

from __future__ import annotations

from typing import Any

import pytest

from harness.model import Record, RecordKind, Stage
from harness.storm.meter import TOTAL, measure, percentiles, table

T = 1_700_000_000.25


def started(client: str, at: float) -> Record:
    return Record(T + at, client, RecordKind.STARTED, {})


def up(client: str, began: float, took: float) -> list[Record]:
    half = {"stage": Stage.MAIN_MODE.value, "took": took / 2}
    rest = {"stage": Stage.UP.value, "took": 0.0, "total": took}
    return [Record(T + began + took / 2, client, RecordKind.STAGE, half), Record(T + began + took, client, RecordKind.STAGE, rest)]


def told(client: str, at: float, kind: RecordKind, **data: Any) -> Record:
    return Record(T + at, client, kind, data)


def in_order(*records: Record | list[Record]) -> list[Record]:
    flat = [one for found in records for one in (found if isinstance(found, list) else [found])]
    return sorted(flat, key=lambda record: record.t)


STORM = in_order(
    started("c1", 0.0),
    up("c1", 0.0, 0.4),
    started("c2", 0.5),
    up("c2", 0.5, 1.0),
    started("c3", 1.0),
    told("c3", 2.5, RecordKind.FAILED, stage="main mode", reason="no answer"),
    started("c4", 1.5),
    started("c5", 2.0),
    up("c5", 2.0, 0.2),
    told("c2", 3.1, RecordKind.ENDED, by="gateway", cause="deleted", detail={}),
    told("c5", 3.2, RecordKind.ENDED, by="client", cause="hung up", detail={}),
    told("c1", 4.0, RecordKind.ENDED, by="run", cause="the run ended", detail={}),
    told("c4", 4.0, RecordKind.ENDED, by="run", cause="the run ended", detail={}),
)


def test_everyone_is_counted_once() -> None:
    found = measure(STORM)
    assert (found.arrivals, found.up, found.waiting, found.failed) == (5, 3, 1, {"main mode": 1})
    assert found.lost == ("c2",)
    assert found.survival == pytest.approx(2 / 3)
    assert found.slowest_s == 1.0


def test_second_by_second() -> None:
    seconds = measure(STORM).seconds
    assert [(s.arrivals, s.up, s.failed, s.lost, s.left, s.established) for s in seconds] == [
        (2, 1, 0, 0, 0, 1),
        (2, 1, 0, 0, 0, 2),
        (1, 1, 1, 0, 0, 3),
        (0, 0, 0, 1, 1, 1),
        (0, 0, 0, 0, 1, 0),
    ]


def test_how_long_each_stage_took() -> None:
    found = measure(STORM).took_s
    assert found["main mode"] == {50: 0.2, 90: 0.5, 99: 0.5, 100: 0.5}
    assert found[TOTAL][50] == 0.4
    assert list(found) == ["main mode", TOTAL]


def test_percentiles_are_values_that_were_measured() -> None:
    assert percentiles([float(n) for n in range(100, 0, -1)]) == {50: 50.0, 90: 90.0, 99: 99.0, 100: 100.0}
    assert percentiles([7.0]) == {50: 7.0, 90: 7.0, 99: 7.0, 100: 7.0}


def test_whoever_comes_back_is_counted_again() -> None:
    again = [*STORM, *in_order(started("c2", 5.0), up("c2", 5.0, 0.5))]
    found = measure(again)
    assert (found.arrivals, found.up, found.lost) == (6, 4, ("c2",))


def test_records_of_connections_from_before_the_storm_are_not_its_own() -> None:
    found = measure([told("c9", 0.0, RecordKind.ENDED, by="gateway", cause="deleted", detail={}), *STORM])
    assert found.lost == ("c2",)


def test_nothing_at_all() -> None:
    found = measure([])
    assert (found.arrivals, found.survival, found.slowest_s, found.seconds) == (0, None, None, ())
    assert len(table(found)) == 1


def test_the_table_leaves_quiet_seconds_out() -> None:
    quiet = measure([*STORM, *in_order(started("c6", 60.0))])
    lines = table(quiet)
    assert lines[0].split() == ["second", "arrived", "up", "failed", "lost", "left", "established"]
    assert [line.split()[0] for line in lines[1:7]] == ["0", "1", "2", "3", "4", "60"]
    assert lines[-1].split()[:3] == ["all", "of", "it"]


def test_what_is_written_is_what_was_measured() -> None:
    written = measure(STORM).to_dict()
    assert written["took_s"]["main mode"] == {"p50": 0.2, "p90": 0.5, "p99": 0.5, "max": 0.5}
    assert written["seconds"][0] == {"at": 0, "arrivals": 2, "up": 1, "failed": 0, "lost": 0, "left": 0, "established": 1}
