"""`natstorm lab import eve-ng` and `lab clean eve-ng`: from arguments to what is sent."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent))

from eve_ng_fake import LAB, NAT, PASSWORD, USER, FakeEveNg, serving
from eve_ng_play import provider

from harness.cli import main
from harness.errors import UsageError
from harness.lab.providers import eve_ng_commands
from harness.lab.providers.eve_ng_import import PASSWORD as VARIABLE
from harness.lab.providers.eve_ng_ledger import default_folder
from harness.model.testbed import TO_COMPLETE
from harness.testbed import examine


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


def test_an_import_as_typed_lacks_what_is_marked_and_nothing_else(
    fake: FakeEveNg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for variable in ("NATSTORM_PSK", "NATSTORM_PPP_PASSWORD", "NATSTORM_LAB_PASSWORD"):
        monkeypatch.setenv(variable, "x")
    fake.nodes[NAT].kind = "qemu"  # as Linux is, whose interfaces are not called after slots
    fake.nodes[NAT].interfaces = {0: "e0", 16: "e1", 32: "e2"}
    file = tmp_path / "lab.yaml"
    words = ["lab", "import", "eve-ng", "--server", fake.url, "--lab", LAB, "--user", USER, "--insecure", "-o", str(file)]
    assert main(words) == 0
    text = file.read_text()
    marked = [n for n, line in enumerate(text.splitlines(), 1) if TO_COMPLETE in line and not line.startswith("#")]
    assert capsys.readouterr().out.endswith(f"4 links, {len(marked)} places marked TO COMPLETE\n")
    told = examine(file).mistakes
    assert [one.line for one in told] == marked
    assert {one.problem for one in told} == {"this is still to be completed"}
    found = yaml.safe_load(text)
    assert found["testbed"]["credentials"]["eve-ng"] == {"username": USER, "password": "%ENV{NATSTORM_EVE_PASSWORD}"}
    assert found["testbed"]["custom"]["lab"] == {
        "provider": "eve-ng", "url": fake.url, "project": LAB,
        "options": {"edition": "community", "verify": False, "clients": "pnet1", "nodes": {"nat": "NAT"}},
    }  # fmt: skip
    assert PASSWORD not in text


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
