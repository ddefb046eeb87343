"""Runs on the host of a bench in a box: plays the suites on devices known by SSH alone, and looks at what is left of it.

    python -m bench_in_a_box [--gateway G] -- python tests/field/inside_the_box.py WORK TESTBED play EXPRESSION
    python -m bench_in_a_box [--gateway G] -- python tests/field/inside_the_box.py WORK TESTBED kill EXPRESSION STEP [again]

`play` runs natstorm qualify to its end. `kill` ends it by SIGKILL when it tells of STEP, waits for the interface to come back, has
natstorm restore put the devices back, and with a further word `again` plays to the end. WORK gets the reports; the last line on
standard output is a JSON object of what was seen. Secrets are planted in the testbed, in the environment and at a prompt of the
terminal (planted.py, which has the devices tell theirs, too). They are looked for in every command line as long as a run lives, in
all that it writes (its restore journal while it lasts), and in what it says at its terminal.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import planted

from harness.devices.ios import lock_line
from harness.devices.ios.driver import Ios
from harness.lab.nic import look
from harness.lab.segment import CLIENTS
from harness.model import Connection
from harness.testbed import check

ROOT = Path(__file__).resolve().parents[2]
NIC = "nic0"
AFTER = "after:"
"""In the place of a step: so many seconds after the start, whatever the run is doing then."""

PATIENCE_S = 120.0

LOOK = """
nft list ruleset 2>/dev/null
for setting in net/ipv4/ip_forward net/ipv4/conf/all/send_redirects net/netfilter/nf_conntrack_udp_timeout \\
    net/netfilter/nf_conntrack_udp_timeout_stream; do echo "$setting $(cat /proc/sys/$setting 2>/dev/null)"; done
for file in /etc/swanctl/swanctl.conf /etc/xl2tpd/xl2tpd.conf /etc/ppp/chap-secrets /etc/strongswan.conf /etc/natstorm/rules; do
    echo "$file $({ md5sum < $file; } 2>/dev/null)"; done
ls -d /tmp/tmp.* /tmp/natstorm-run.* /run/natstorm.lock* 2>/dev/null
pgrep -l 'charon|xl2tpd|pppd|tcpdump|natstorm-gw' | cut -d' ' -f2 | sort
iptables-legacy-save 2>/dev/null | grep -e '^-A' | sort; ip -o link show demux0 2>/dev/null; true
"""


def device_state(address: str) -> str:
    box = os.environ["NATSTORM_BOX"]
    words = ["ssh", "-i", f"{box}/id", "-o", f"UserKnownHostsFile={box}/known_hosts", "-o", "BatchMode=yes", f"root@{address}"]
    return subprocess.run([*words, "bash -s"], input=LOOK, capture_output=True, text=True, timeout=60, check=True).stdout


SHOWN = ("show running-config", "show crypto isakmp sa", "show vpdn", "show ip local pool")
"""Of a router: what it is configured for, and what is up on it."""


async def router_state(router: Connection, shown: tuple[str, ...] = SHOWN) -> str:
    device = Ios(router)
    try:
        await device.connect()
        return "\n".join([await device.execute(command) for command in shown])
    finally:
        await device.disconnect()


def state(devices: list[str], router: Connection | None) -> dict[str, object]:
    """Of everything that a run may touch: the interface, the clients' namespace, the devices, journals and locks."""
    home = Path(os.environ["XDG_STATE_HOME"])
    kept = sorted(str(path.relative_to(home)) for path in home.rglob("*.jsonl"))
    return {
        "nic": look(NIC).to_json(),
        "namespace": Path("/run/netns", CLIENTS).exists(),
        "journals": kept,
        **{device: device_state(device) for device in devices},
        **({} if router is None else {router.host: asyncio.run(router_state(router))}),
    }


def locks(devices: list[str], router: Connection | None) -> dict[str, list[str]]:
    """Those that this machine keeps, by their files, and those on the devices, by the devices."""
    here = Path(os.environ["XDG_STATE_HOME"], "natstorm/locks").glob("*.json")
    there = [device for device in devices if "/run/natstorm.lock\n" in device_state(device)]
    if router is not None and lock_line.LINE in asyncio.run(router_state(router)):
        there.append(router.host)
    return {"here": sorted(path.name for path in here), "there": there}


def natstorm(*words: str) -> list[str]:
    return [sys.executable, "-m", "harness.cli", *words]


def qualify(testbed: Path, work: Path, expression: str, step: str = "") -> tuple[int, list[str], str]:
    """The exit status, its lines, and what stood on the terminal; with a `step`, killed when it tells of that one."""
    words = natstorm("qualify", "--testbed", str(testbed), "--reports", str(work / "reports"), "-k", expression)
    terminal = planted.Terminal()
    run = terminal.start(words, ROOT)
    assert run.stdout is not None
    told = []
    if step.startswith(AFTER):
        threading.Timer(float(step.removeprefix(AFTER)), run.kill).start()
    for line in run.stdout:
        told.append(line)
        if step and step in line:
            run.kill()
            break
    return run.wait(), told, terminal.end()


def devices_told(work: Path) -> list[str]:
    """The files in which a device's own configuration stands, with every secret of it taken out."""
    wanted = planted.TELLS.encode(), b"***"
    return sorted({path.name for path in (work / "reports").rglob("*") if path.is_file() and _lines_with(path, *wanted)})


def _lines_with(path: Path, *wanted: bytes) -> bool:
    return any(all(one in line for one in wanted) for line in path.read_bytes().splitlines())


def wait_until_back() -> float:
    """Seconds until the interface is this machine's again."""
    began = time.monotonic()
    while Path("/run/netns", CLIENTS).exists():
        if time.monotonic() - began > PATIENCE_S:
            raise SystemExit("the interface did not come back")
        time.sleep(0.05)
    return time.monotonic() - began


def main(work: Path, testbed: Path, what: str, expression: str, step: str = "", then: str = "") -> None:
    state_home = work / "state"
    os.environ["XDG_STATE_HOME"] = str(state_home)
    file = planted.testbed(testbed, work, reached=True)
    os.environ |= planted.ENVIRONMENT
    router = check(testbed).router
    devices = ["10.99.0.2", "10.99.0.3" if router is None else "10.99.0.4"]  # those with a shell
    lockable = devices if router is None else [*devices, router.host]
    found: dict[str, object] = {"before": state(devices, router), "lockable": lockable}
    watch = planted.Watch()
    watch.start()
    status, lines, shown = qualify(file, work, expression, step if what == "kill" else "")
    told = "".join([*lines, shown])
    if what == "kill":
        found["reached"] = step in told or (step.startswith(AFTER) and status == -signal.SIGKILL)
        found["doing"] = lines[-1] if lines else ""
        wait_until_back()
        left = state(devices, router)
        found["in_killed_files"] = planted.files_with_it(work / "reports", state_home)
        found["after_kill"] = {"nic": left["nic"], "journals": left["journals"], "locks": locks(devices, router)}
        terminal = planted.Terminal()
        restored = terminal.start(natstorm("restore", "--testbed", str(file)), ROOT)
        said = restored.communicate(timeout=PATIENCE_S)[0] + terminal.end()
        found["restore"] = [restored.returncode, said]
        found["restored"] = state(devices, router)
        found["restored_locks"] = locks(devices, router)
        told += said
        found["in_killed_files"] += planted.files_with_it(work / "reports", state_home)
        if then:
            shutil.rmtree(work / "reports")
            status, lines, shown = qualify(file, work, expression)
            told += "".join([*lines, shown])
    watch.stop()
    found |= {
        "status": status,
        "told": told,
        "after": state(devices, router),
        "looks": watch.looks,
        "in_process_list": sorted(watch.seen),
        "in_files": planted.files_with_it(work / "reports", state_home),
        "in_words": planted.is_in(told.encode()),
        "prompted": told.count(planted.PROMPT),
        "devices_told": devices_told(work),
    }
    summaries = sorted((work / "reports").glob("*/summary.json"))
    found["summary"] = json.loads(summaries[-1].read_text()) if summaries else None
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
