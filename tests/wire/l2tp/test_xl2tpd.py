"""xl2tpd, which shares no code with this project, as the LNS: tunnel, call, Hello, CDN and StopCCN as it reads them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import MissingTool
from harness.lab.packages import guest_directory

SESSION = Path(__file__).with_name("xl2tpd_session.py")
PROJECT = Path(__file__).parents[3]


@pytest.mark.lab
def test_a_life_with_xl2tpd(tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("needs root, for a mount over /usr/sbin in a namespace")
    try:
        packages = guest_directory()
    except MissingTool as error:
        pytest.skip(str(error))
    command = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", sys.executable, SESSION, packages, tmp_path]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=90, check=False, env={**os.environ, "PYTHONPATH": str(PROJECT)}
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    told, log = seen["told"], seen["log"]
    assert [text.split("(")[0] for text in told] == ["TunnelUp", "CallUp", "TunnelDown"], told
    assert "peer_vendor='xelerance.com'" in told[0]
    assert told[2] == "TunnelDown(by_peer=False, result=1, reason='closed')"
    for line in (
        "vendor_avp: peer reports vendor 'Microsoft'",
        "firmware_rev_avp: peer reports firmware version 1537 (0x0601)",
        "receive_window_size_avp: peer wants RWS of 8",
        "Connection established to 127.0.0.2, 1701",
        "Call established with 127.0.0.2",
        "message type is Hello(6)",
        "result_code_avp: peer closing for reason 3",
        "result_code_avp: peer closing for reason 1 (General request to clear control connection)",
    ):
        assert line in log, f"{line!r} is missing in:\n{log}"
    assert "Bad" not in log
    assert "unable" not in log.lower()
