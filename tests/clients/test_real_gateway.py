"""Clients against strongSwan and xl2tpd in a guest, behind a kernel NAT: code nobody here wrote judges every layer at once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.model import Stage

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.lab


def dial(variant: str, *options: str) -> dict[str, Any]:
    """What became of clients that dialled a gateway of that variant."""
    gateway = [sys.executable, str(ROOT / "tests/lab/bench_gateway.py"), variant]
    clients = [sys.executable, str(ROOT / "tests/clients/dial_real_gateway.py"), *options]
    done = subprocess.run([*gateway, *clients], capture_output=True, text=True, timeout=180, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.mark.parametrize("personality", ["windows7", "linux", "modp1024", "3des"])
def test_every_personality_comes_up_and_hangs_up(personality: str) -> None:
    result = dial("plain-kernel", "--personality", personality, "--hold", "1")
    client = result["clients"]["c1"]
    assert list(client["stages"]) == [stage.value for stage in Stage]
    assert client["counts"]["mark-answered"] == client["counts"]["mark-sent"]
    assert [ended["by"] for ended in client["ended"]] == ["client"]
    assert "garbage" not in client["counts"]
    assert result["impaired"] == []


def test_two_clients_live_where_the_gateway_tells_them_apart() -> None:
    result = dial("demux-kernel", "--clients", "2", "--hold", "3")
    for client in result["clients"].values():
        assert client["counts"]["mark-answered"] == client["counts"]["mark-sent"] > 10
        assert not {"mark-strange", "strange-data", "mark-damaged"} & set(client["counts"])


def test_where_it_does_not_the_second_gets_what_is_the_first_one_s() -> None:
    result = dial("plain-user", "--clients", "2", "--hold", "3")
    first, second = result["clients"]["c1"]["counts"], result["clients"]["c2"]["counts"]
    assert first["mark-answered"] < first["mark-sent"] / 2
    assert second["mark-strange"] > 10
    assert second["mark-answered"] == second["mark-sent"]


@pytest.mark.parametrize("action", ["rekey_ipsec", "rekey_ike"])
def test_a_rekey_loses_nothing(action: str) -> None:
    counts = dial("plain-kernel", "--action", action, "--hold", "3")["clients"]["c1"]["counts"]
    assert counts["esp-up" if action == "rekey_ipsec" else "ike-up"] == 2
    assert counts["mark-answered"] == counts["mark-sent"]


def test_wrong_secrets_are_told_with_their_stage() -> None:
    result = dial("plain-kernel", "--password", "wrong", "--hold", "0", "--personality", "linux", "--patience", "60")
    (failed,) = result["clients"]["c1"]["failed"]
    assert failed["stage"] == "PPP authentication"
    result = dial("plain-kernel", "--psk", "wrong", "--hold", "0", "--personality", "linux", "--patience", "60")
    (failed,) = result["clients"]["c1"]["failed"]
    assert failed["stage"] == "main mode"
    assert "pre-shared key" in failed["reason"]
