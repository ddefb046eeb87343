"""Which rows count as what, and that the coverage which is printed is that of the suites."""

from __future__ import annotations

import json

from harness.catalogue import DOCUMENTED, SUITES, load_catalogue
from harness.model.behaviour import Behaviour
from harness.qualify import tell_coverage
from harness.report.coverage import cover, in_words, to_dict


def row(name: str, evidence: str = "wire", excluded: str | None = None, left: str | None = None) -> Behaviour:
    title, of = f"title of {name}", ("9", "a document", "a section")
    return Behaviour(name, title, *of, ("S",), "wall", evidence, "…", excluded=excluded, left_to_hardware=left)


ROWS = {
    one.id: one
    for one in (
        row("ABC-01"),
        row("ABC-02", "far-end"),
        row("ABC-03", "peer"),
        row("ABC-04", "cli-only", left="its MIB"),
        row("ABC-05", left="its colour"),
        row("ABC-06", excluded="no software has it"),
        row("ABC-07", left="counted nowhere"),
    )
}
IDS = (*ROWS, "ABC-08")


def test_what_counts_as_what():
    (found,) = cover({"ABC": IDS}, ROWS, judged=set(IDS[:4]), noted={"ABC-05"})
    assert to_dict([found]) == {
        "version": 1,
        "ABC": {
            "asserted": 4,
            "recorded": 1,
            "hardware_only": 1,
            "missing": 2,
            "by_evidence": {"peer": 2, "wire": 1, "cli_only": 1},
            "left_to_hardware": {"ABC-04": "its MIB", "ABC-05": "its colour"},
        },
    }
    assert found.missing == ("ABC-07", "ABC-08")  # one without a test, and one that no file describes
    words = "\n".join(in_words([found], ROWS))
    assert "missing of ABC: ABC-07, ABC-08" in words
    assert "ABC-06  title of ABC-06: no software has it" in words
    assert words.endswith(
        "ABC, left to hardware of rows that are counted above:\n"
        "  ABC-04  title of ABC-04: its MIB\n  ABC-05  title of ABC-05: its colour"
    )


def test_nothing_is_left_of_rows_that_are_whole_or_not_counted():
    (found,) = cover({"ABC": IDS}, ROWS, judged={"ABC-01"}, noted=())
    assert found.left_to_hardware == {}
    assert "left to hardware" not in "\n".join(in_words([found], ROWS))


def test_a_row_that_is_judged_is_never_hardware_only():
    (found,) = cover({"ABC": IDS}, ROWS, judged={"ABC-06"}, noted=())
    assert found.asserted == ("ABC-06",)
    assert found.hardware_only == ()


def test_of_the_suites(capsys):
    status = tell_coverage(as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert set(told) == {"version", *DOCUMENTED}
    for prefix, ids in DOCUMENTED.items():
        counts = told[prefix]
        assert sum(counts[name] for name in ("asserted", "recorded", "hardware_only", "missing")) == len(ids)
        assert sum(counts["by_evidence"].values()) == counts["asserted"]
    assert status == int(any(told[prefix]["missing"] for prefix in DOCUMENTED))
    left = {row for prefix in DOCUMENTED for row in told[prefix]["left_to_hardware"]}
    assert left == {"DMX-68", "SEC-01", "SEC-118", "SEC-136", "SEC-137"}
    for protocol, row in (("OSPF", "DMX-68"), ("half-duplex", "SEC-01"), ("IGRP", "SEC-136"), ("SNMP", "SEC-137")):
        assert protocol in told[row[:3]]["left_to_hardware"][row]


def test_every_row_that_leaves_something_to_hardware_is_argued_in_the_docs():
    docs = (SUITES.parent / "docs" / "left-to-hardware.md").read_text()
    for row in load_catalogue(SUITES / "behaviours").values():
        if row.left_to_hardware or row.excluded:
            assert f"**{row.id}**" in docs, row.id


def test_every_row_of_the_catalogue_is_documented():
    known = {one for ids in DOCUMENTED.values() for one in ids}
    assert {one for one in load_catalogue(SUITES / "behaviours") if not one.startswith("LNX")} <= known
