"""Tunnel secrets, hidden AVPs, several calls and every PPP authentication, as a real xl2tpd and pppd judge them: they as LNS, then
as the ones who dial. Neither shares code with this project; what they log is what they have read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.errors import MissingTool
from harness.lab.packages import guest_directory

SESSION = Path(__file__).with_name("real_gateway_session.py")
PROJECT = Path(__file__).parents[3]
pytestmark = pytest.mark.lab


def play(*cases: str) -> dict[str, Any]:
    """What each case came to: what our cores told, the daemons' logs, the ping."""
    if os.geteuid():
        pytest.skip("needs root, for namespaces of its own")
    try:
        guest_directory()
    except MissingTool as error:
        pytest.skip(str(error))
    command = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable, SESSION, *cases]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    results: dict[str, Any] = json.loads(done.stdout)
    assert list(results) == list(cases)
    return results


def came_up(result: dict[str, Any], method: str, *lines: str) -> None:
    """The tunnel was authenticated both ways, the link by `method`, a ping came back; pppd's log has `lines`."""
    told = [text.partition("(")[0] for text in result["told"]]
    assert {"TunnelUp", "CallUp", "LcpUp", "Authenticated", "PppUp"} <= set(told), result["told"]
    assert "Failed" not in told, result["told"]
    assert any(text.startswith(f"Authenticated(method='{method}'") for text in result["told"])
    assert " 2 received" in result["ping"], result["ping"]
    for line in ("challenge avp found", "Challenge reply found", "Connection established to", "Call established with"):
        assert line in result["log"], result["log"]
    for line in lines:
        assert line in result["pppd"], f"{line!r} is missing in:\n{result['pppd']}"


def failure(result: dict[str, Any]) -> str:
    (text,) = (text for text in result["told"] if text.startswith("Failed("))
    return str(text)


def test_as_client_of_a_real_gateway() -> None:
    names = ["client pap", "client chap-md5, two calls", "client mschapv1, hidden AVPs", "client wrong tunnel secret"]
    pap, chap, mschap, secret = play(*names).values()
    came_up(pap, "pap", "<auth pap>", "PAP peer authentication succeeded for user1")
    came_up(chap, "chap-md5", "<auth chap MD5>", "remote IP address 172.16.1.10", "remote IP address 172.16.1.11")
    assert "call_serno_avp: serial number is 1" in chap["log"]
    came_up(mschap, "mschapv1", "<auth chap MS>", "sent [CHAP Success id=")
    assert mschap["log"].count("rand_vector_avp: Random Vector of 16 octets") >= 2
    assert "tx_speed_avp: transmit baud rate is 100000000" in mschap["log"]  # it was hidden
    assert "not authorised" in failure(secret)
    assert "peer closing for reason 4 (Requester is not authorized to establish a control channel)" in secret["log"]


def test_as_the_lns_that_a_real_client_dials() -> None:
    names = [
        "lns pap", "lns chap-md5, hidden AVPs", "lns chap-md5 then mschapv1", "lns wrong tunnel secret", "lns empty pool",
    ]  # fmt: skip
    pap, chap, listed, secret, pool = play(*names).values()
    address = "local  IP address 172.16.1.77"
    came_up(pap, "pap", "PAP authentication succeeded", address)
    came_up(chap, "chap-md5", "CHAP authentication succeeded", address)
    assert "rand_vector_avp: Random Vector of 16 octets" in chap["log"]
    nak = "sent [LCP ConfNak id=0x1 <auth chap MS>]"
    came_up(listed, "mschapv1", "<auth chap MD5>", nak, "CHAP authentication succeeded", address)
    assert "Invalid challenge authentication" in failure(secret)
    assert "Invalid challenge authentication" in secret["log"]
    assert "no address is left for user1" in failure(pool)
    assert 'rcvd [LCP TermReq id=0x2 "no address is left for user1"]' in pool["pppd"]
    assert address not in pool["pppd"]
