"""`natstorm storm` that is told to end by SIGTERM, or whose terminal is gone, ends as by Ctrl-C: what it had is given back."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

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
