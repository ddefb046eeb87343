"""What of a testbed only this machine can tell: a mistake in it ends a run as any other, with its line and status 2."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from harness.lab import enclosure

pytestmark = [pytest.mark.lab, pytest.mark.skipif(os.geteuid() != 0, reason="a lab of devices that are there needs root")]


@pytest.mark.parametrize("words", [["qualify", "-k", "pair"], ["storm", "--clients", "2"]], ids=lambda words: words[0])
def test_a_network_card_that_is_not_there(tmp_path, words):
    for name in ("known_hosts", "id"):
        (tmp_path / name).touch()
    text = (enclosure.ROOT / "testbeds/bench-in-a-box.yaml").read_text().replace("      nic0: {", "      no-such-nic: {")
    file = tmp_path / "bench.yaml"
    file.write_text(text)
    line = next(number for number, one in enumerate(text.splitlines(), 1) if "no-such-nic" in one)
    more = ["--testbed", str(file), *(["--reports", str(tmp_path / "reports")] if words[0] == "qualify" else [])]
    command, environment = [sys.executable, "-m", "harness.cli", *words, *more], {**os.environ, "NATSTORM_BOX": str(tmp_path)}
    done = subprocess.run(
        command, cwd=enclosure.ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 2, done.stdout + done.stderr
    said = done.stdout + done.stderr
    assert f"natstorm: {file}:{line}: this machine has no interface no-such-nic: it has " in said
    assert "name the interface that carries the clients' segment" in said
    assert list((tmp_path / "reports").glob("2*")) == []
