from __future__ import annotations

import os

from harness.report.outlet import Outlet, drain


def test_what_is_written_arrives_while_somebody_reads() -> None:
    reader, writer = os.pipe()
    with open(writer, "w", encoding="utf-8") as stream:
        outlet = Outlet(stream, lambda: None)
        assert outlet.write("a line\n") == 7
        outlet.flush()
        assert outlet.fileno() == writer  # whatever else is asked of it, the stream answers
    with open(reader, encoding="utf-8") as stream:
        assert stream.read() == "a line\n"


def test_a_reader_that_left_is_noticed_once_and_nothing_complains() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    told: list[str] = []
    with open(writer, "w", encoding="utf-8") as stream:
        outlet = Outlet(stream, lambda: told.append("closed"))
        for _ in range(3):
            assert outlet.write("x" * 20_000) == 20_000
            outlet.flush()
        assert outlet.closed_by_reader
        drain(stream)
    assert told == ["closed"]
