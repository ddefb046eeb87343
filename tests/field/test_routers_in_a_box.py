"""The suites on routers that are known by SSH and their command lines alone: a LAC and an LNS with callers by PPPoE, endpoints
about a NAT with hosts on one card. What is left of it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench_in_a_box import sshd

sys.path.append(str(Path(__file__).parent))
from box_runs import one_passes_and_leaves_nothing, played_on_routers, routers_give_all_back

pytest.importorskip("asyncssh", reason="no module asyncssh (pip install 'natstorm[virtual-ios]')")
pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(sshd.missing() is not None, reason="no OpenSSH server unpacked (natstorm setup)"),
]


def test_a_run_that_is_killed_gives_all_back_and_the_suites_pass(tmp_path):
    seen = played_on_routers(tmp_path, "lac-lns", "l2tp-pool or altered or clone_on_demand", "ping:caller 1")
    before = seen["before"]
    assert "hostname LAC" in before["lac"]
    assert "vpdn" not in before["lac"].partition("show vpdn")[0]
    assert "ping:caller 1" in seen["told"][-1], seen["told"]
    left = seen["after_kill"]
    assert left["journals"]
    assert "bba-group pppoe NATSTORM" in left["lac"]
    assert "crypto map l2tpsec" in left["lns"]
    routers_give_all_back(seen)
    one_passes_and_leaves_nothing(seen, {"SEC-131": "nothing on a wire", "SEC-51": "no router gives the keys of its SAs away"})


def read(capture, *fields, options=()):
    """What tshark finds in each of the frames of ESP, one tuple a frame."""
    words = ["tshark", "-r", capture, *options, "-Y", "esp", "-T", "fields", *(word for field in fields for word in ("-e", field))]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True)
    return [tuple(line.split("\t")) for line in done.stdout.splitlines()]


@pytest.mark.skipif(shutil.which("tshark") is None, reason="no program tshark")
def test_a_run_through_a_nat_that_is_killed_gives_all_back_and_the_suites_pass(tmp_path):
    seen = played_on_routers(tmp_path, "esp", "plain_nat or demands_500 or tunnel_mode", "first-packets:plain")
    before, left = seen["before"], seen["after_kill"]
    assert "hostname nat" in before["nat"]
    assert "transform-set" not in before["east-1"]
    assert "first-packets:plain" in seen["told"][-1], seen["told"]
    assert left["journals"]
    assert "ip nat pool plain" in left["nat"]
    assert "203.0.113.234" in left["nat"].partition("\nend")[2]  # whom it translates
    assert "crypto map vpn" in left["east-1"]
    assert "transform-set" not in left["west-3"]  # the script has no use for it
    routers_give_all_back(seen)
    one_passes_and_leaves_nothing(seen, {"ESN-23": "nothing on a wire", "ESN-05": "no router gives the keys of its SAs away"})

    captures = {Path(one).stem: one for one in seen["captures"]}
    inner = ("-o", "esp.enable_null_encryption_decode_heuristic:TRUE")
    ends = {side: read(captures[side], "ip.src", "ip.dst", options=inner) for side in ("inside", "outside")}
    assert ("10.0.0.11,10.1.1.5", "203.0.113.241,10.2.1.5") in ends["inside"]
    assert ("203.0.113.241,10.2.1.5", "10.0.0.12,10.1.2.5") in ends["inside"]
    spis = {side: set(read(captures[side], "esp.spi", "esp.sequence")) for side in ends}
    assert spis["inside"] == spis["outside"]
    outside = {src.partition(",")[0] for src, _ in ends["outside"]}
    assert outside == {"203.0.113.241", "203.0.113.234", "203.0.113.235"}  # each insider has an address of the pool
