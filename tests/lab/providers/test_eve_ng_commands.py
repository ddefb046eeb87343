"""`natstorm lab import eve-ng` and `lab clean eve-ng`: from arguments to what is sent."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from eve_ng_fake import LAB, PASSWORD, USER, FakeEveNg, serving
from eve_ng_play import provider

from harness.errors import UsageError
from harness.lab.providers import eve_ng_commands
from harness.lab.providers.eve_ng_import import PASSWORD as VARIABLE
from harness.lab.providers.eve_ng_ledger import default_folder


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEveNg]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv(VARIABLE, PASSWORD)
    with serving(FakeEveNg()) as one:
        one.polls = 0
        yield one


def parsed(fake: FakeEveNg, *more: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    eve_ng_commands.add_import(parser)
    return parser.parse_args(["--server", fake.url, "--lab", LAB, "--user", USER, *more])


def test_import_describes_the_lab(fake: FakeEveNg) -> None:
    found = eve_ng_commands.describe(parsed(fake))
    assert (found.lab, len(found.nodes), len(found.links)) == ("L2TP one", 6, 4)


def test_clean_undoes_what_a_killed_run_left(fake: FakeEveNg) -> None:
    before = fake.state()
    killed = provider(fake, default_folder())
    killed.up()
    killed._ledger.release()
    told = eve_ng_commands.clean(parsed(fake))
    assert sorted(told) == ["node NAT is stopped", "node gateway is stopped", "node host is stopped"]
    assert fake.state() == before


def test_clean_with_nothing_left_asks_neither_a_person_nor_the_server(fake: FakeEveNg, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE)
    assert eve_ng_commands.clean(parsed(fake)) == ()
    assert not fake.requests


def test_without_a_password_and_without_a_terminal(fake: FakeEveNg, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    with pytest.raises(UsageError, match=VARIABLE):
        eve_ng_commands.describe(parsed(fake))


def test_a_certificate_is_trusted_by_name_or_not_looked_at(fake: FakeEveNg) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.pem"):
        eve_ng_commands.describe(parsed(fake, "--ca", "nowhere.pem"))
    assert eve_ng_commands.describe(parsed(fake, "--insecure")).lab == "L2TP one"
    with pytest.raises(SystemExit):
        parsed(fake, "--ca", "x", "--insecure")
