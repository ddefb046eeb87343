"""How `natstorm storm` begins and ends. One that is told to end by SIGTERM, or whose terminal is gone, ends as by Ctrl-C: what it
had is given back."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness import cli
from harness.model import Secret
from harness.scenario.commands import Storming
from harness.testbed import markup

ROOT = Path(__file__).resolve().parents[2]

PLAY = """
import asyncio, sys
from harness import cli
from harness.lab import place
from harness.scenario.commands import Storming

async def scenario():
    print("up", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0)
        print("cancelled", flush=True)

async def down():
    assert len(asyncio.all_tasks()) == 1  # the scenario does not go on meanwhile
    print("given back", flush=True)

def play(self):
    with asyncio.Runner() as loop:
        try:
            loop.run(scenario())
        finally:
            loop.run(down())

place.settle = lambda *_, **__: None
Storming.play = play
sys.exit(cli.main(["storm", "--testbed", "testbeds/virtual.yaml", "--clients", "2"]))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_what_it_had_is_given_back(number):
    run = subprocess.Popen([sys.executable, "-c", PLAY], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert run.stdout.readline() == "up\n"
    run.send_signal(number)
    rest, _ = run.communicate(timeout=60)
    assert rest.splitlines() == ["cancelled", "given back"]
    assert run.returncode == 130


@pytest.fixture
def storm(tmp_path, monkeypatch):
    """`natstorm storm` on virtual.yaml, whose key is typed; what its play had by the time it began."""
    begun = []

    def play(self):
        begun.append((self._testbed.clients.psk, tuple(prompts)))
        return {"outcome": "pass"}

    prompts = []
    monkeypatch.setattr(Storming, "play", play)
    monkeypatch.setattr(markup, "_ANSWERS", {})
    monkeypatch.setattr(markup, "_has_terminal", lambda: True)
    monkeypatch.setattr(markup.getpass, "getpass", lambda prompt: prompts.append(prompt) or "typed")
    file = tmp_path / "virtual.yaml"
    text = (ROOT / "testbeds/virtual.yaml").read_text()
    assert text.count("psk: sharedsecret") == 1
    file.write_text(text.replace("psk: sharedsecret", 'psk: "%ASK{lab key}"'))
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    command = ["storm", "--clients", "2", "--time", "virtual", "--testbed", str(file)]
    yield lambda *words: (cli.main([*command, *words]), begun, prompts)
    for number, handler in before.items():
        signal.signal(number, handler)


def test_what_is_typed_is_asked_for_before_anything_is_played(storm):
    status, begun, prompts = storm()
    assert (status, len(prompts)) == (0, 1)
    assert begun == [(Secret("typed"), tuple(prompts))]


def test_a_dry_run_asks_nothing(storm):
    assert storm("--dry-run") == (0, [], [])


def test_pyats_has_a_say(storm, monkeypatch, capsys):
    from pyats.topology import loader

    def refuse(what):
        raise RuntimeError("not this")

    monkeypatch.setattr(loader, "load", refuse)
    assert storm()[:2] == (2, [])
    assert "pyATS does not take it: not this" in capsys.readouterr().err
