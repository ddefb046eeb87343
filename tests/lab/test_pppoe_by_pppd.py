"""Linux's PPPoE, pppd and the kernel's in a guest, has a session with the virtual IOS router: code that nobody here wrote."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.lab import enclosure

pytest.importorskip("asyncssh", reason="no module asyncssh (pip install 'natstorm[virtual-ios]')")


@pytest.mark.lab
def test_a_call_of_pppd_is_taken_and_one_with_a_wrong_password_is_not():
    command = enclosure.command([sys.executable, str(Path(__file__).with_name("pppd_calls.py"))])
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert "inet 172.16.9.10 peer 172.16.9.1/32" in found["address"]
    assert "3 received" in found["small"]
    assert "3 received" in found["whole"]  # as large as was agreed on, in one piece
    assert "PPP session is 1" in found["log"]
    assert "CHAP authentication succeeded" in found["log"]
    assert "Connection terminated" in found["log"]
    assert found["wrong"] == 19  # pppd(8): we failed to authenticate ourselves to the peer
    assert "PPP session is 2" in found["wrong log"]
    assert "CHAP authentication failed" in found["wrong log"]
