from __future__ import annotations

import json

import pytest

from harness.report.result import Case, CaseOutcome, CaseResult
from harness.report.summary import NOT_RUN, SCHEMA, VERSION, Summary, exit_status, sentence, summarise


def results(**counts: int) -> list[CaseResult]:
    return [
        CaseResult(Case(f"{name}-{n}", f"x::{name}{n}", testbed="linux"), CaseOutcome(name), "a reason")
        for name, count in counts.items()
        for n in range(count)
    ]


def conforms(value: object, schema: dict, where: str = "summary") -> list[str]:
    """The few words of JSON Schema that summary.schema.json uses; any other word is an error of this test."""
    known = {"$schema", "title", "description", "type", "additionalProperties", "required", "properties", "items"}
    known |= {"const", "minLength", "minimum", "uniqueItems"}
    assert set(schema) <= known, set(schema) - known
    types = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float)}
    found = []
    if "type" in schema and (not isinstance(value, types[schema["type"]]) or isinstance(value, bool)):
        return [f"{where} is no {schema['type']}"]
    if "const" in schema and value != schema["const"]:
        found.append(f"{where} is not {schema['const']}")
    if "minLength" in schema and isinstance(value, str) and len(value) < schema["minLength"]:
        found.append(f"{where} is too short")
    if "minimum" in schema and isinstance(value, int | float) and value < schema["minimum"]:
        found.append(f"{where} is too small")
    if isinstance(value, dict):
        found += [f"{where} lacks {name}" for name in schema.get("required", ()) if name not in value]
        if schema.get("additionalProperties") is False:
            found += [f"{where} has {name}" for name in value if name not in schema["properties"]]
        for name, item in value.items():
            if name in schema.get("properties", {}):
                found += conforms(item, schema["properties"][name], f"{where}.{name}")
    if isinstance(value, list):
        for number, item in enumerate(value):
            found += conforms(item, schema.get("items", {}), f"{where}[{number}]")
        if schema.get("uniqueItems") and len(set(map(str, value))) != len(value):
            found.append(f"{where} repeats itself")
    return found


def test_the_summary_has_exactly_its_ten_keys_and_fits_the_schema() -> None:
    summary = summarise(
        "20260102T030405Z-1a2b",
        results(passed=3, failed=1, inconclusive=2, recorded=1, skipped=1),
        testbeds=["linux"],
        duration_s=12.3456,
        not_run=[Case("late", "x::late")],
    )
    content = json.loads(summary.to_json())
    assert content == {
        "version": VERSION,
        "run": "20260102T030405Z-1a2b",
        "testbeds": ["linux"],
        "asserted": 6,
        "passed": 3,
        "failed": 1,
        "inconclusive": 2,
        "recorded": 1,
        "skipped": [{"id": "skipped-0", "reason": "a reason"}, {"id": "late", "reason": NOT_RUN}],
        "duration_s": 12.346,
    }
    schema = json.loads(SCHEMA.read_text())
    assert conforms(content, schema) == []
    assert schema["required"] == list(content)


@pytest.mark.parametrize(
    "break_it",
    [
        lambda c: c.pop("run"),
        lambda c: c.update(extra=1),
        lambda c: c.update(version=2),
        lambda c: c.update(passed=-1),
        lambda c: c.update(passed="1"),
        lambda c: c.update(passed=True),
        lambda c: c["skipped"].append({"id": "x"}),
        lambda c: c.update(testbeds=["a", "a"]),
    ],
)
def test_the_schema_refuses_what_the_summary_must_not_be(break_it) -> None:
    content = json.loads(summarise("run", results(passed=1), duration_s=1).to_json())
    break_it(content)
    assert conforms(content, json.loads(SCHEMA.read_text()))


@pytest.mark.parametrize(
    ("counts", "status"),
    [
        ({"passed": 2}, 0),
        ({"passed": 1, "recorded": 1, "skipped": 1}, 0),
        ({"recorded": 1}, 0),
        ({"passed": 5, "failed": 1}, 1),
        ({"failed": 1, "inconclusive": 3}, 1),
        ({"passed": 5, "inconclusive": 1}, 3),
        ({"skipped": 4}, 3),
        ({}, 2),
    ],
)
def test_the_exit_status_follows_from_the_summary(counts: dict[str, int], status: int) -> None:
    assert exit_status(summarise("run", results(**counts), duration_s=1)) == status


def test_a_run_cut_short_is_inconclusive_unless_it_had_failed() -> None:
    rest = [Case("late", "x::late")]
    assert exit_status(summarise("run", results(passed=9), duration_s=1, not_run=rest)) == 3
    assert exit_status(summarise("run", results(failed=1), duration_s=1, not_run=rest)) == 1


def test_the_sentence_counts() -> None:
    summary = Summary("run", (), 3, 1, 1, 1, 2, (("a", "b"),), 1.25)
    assert sentence(summary) == "3 asserted: 1 passed, 1 failed, 1 inconclusive, 2 recorded, 1 skipped in 1.2 s"
