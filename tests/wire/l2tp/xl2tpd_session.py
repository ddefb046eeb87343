"""Run in namespaces of its own by test_xl2tpd: starts a real xl2tpd on loopback and takes one L2tpCore through a life with it.

Arguments: the unpacked packages, an empty folder. Prints one JSON object: what the core told, and xl2tpd's own log.
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import time
from pathlib import Path

from harness.wire.config import L2tpConfig
from harness.wire.l2tp import L2tpCore

CONFIG = """[global]
port = 1701
listen-addr = 127.0.0.1
debug avp = yes
debug state = yes
force userspace = yes
[lns default]
ip range = 172.16.1.10-172.16.1.200
local ip = 172.16.1.1
require authentication = no
name = lns
pppoptfile = {options}
length bit = yes
"""
STAND_IN = "#!/bin/sh\nexec sleep 60\n"  # pppd needs /dev/ppp; xl2tpd only has to believe that it runs


def main(packages: Path, folder: Path) -> None:
    run = subprocess.run
    run(["ip", "link", "set", "lo", "up"], check=True)
    run(["mount", "-t", "tmpfs", "tmpfs", folder], check=True)
    upper, work = folder / "upper", folder / "work"
    upper.mkdir()
    work.mkdir()
    layers = f"lowerdir=/usr/sbin,upperdir={upper},workdir={work}"
    run(["mount", "-t", "overlay", "overlay", "-o", layers, "/usr/sbin"], check=True)
    pppd = Path("/usr/sbin/pppd")
    pppd.write_text(STAND_IN)
    pppd.chmod(0o755)
    config, options, log = folder / "xl2tpd.conf", folder / "options", folder / "log"
    options.touch()
    config.write_text(CONFIG.format(options=options))
    command = [packages / "usr/sbin/xl2tpd", "-D", "-c", config, "-p", folder / "pid", "-C", folder / "control", "-s", "/dev/null"]
    with log.open("w") as output, subprocess.Popen(command, stdout=output, stderr=output) as daemon:
        try:
            wait_for(log, "Listening on IP address", daemon)
            told = live()
        finally:
            daemon.terminate()
    print(json.dumps({"told": told, "log": log.read_text()}))


def wait_for(log: Path, word: str, daemon: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 20
    while word not in log.read_text():
        if daemon.poll() is not None or time.monotonic() > end:
            raise SystemExit(f"xl2tpd did not come up: {log.read_text()}")
        time.sleep(0.05)


def live() -> list[str]:
    """Up, two Hellos, down."""
    core = L2tpCore(L2tpConfig("win7", hello_s=0.5, correlation_id=bytes(range(16))), os.urandom)
    told: list[str] = []
    hellos = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.bind(("127.0.0.2", 1701))
        link.connect(("127.0.0.1", 1701))
        core.start(time.monotonic())
        end = time.monotonic() + 20
        while not core.finished and time.monotonic() < end:
            for packet in core.take_packets():
                hellos += packet[12:20] == bytes.fromhex("8008000000000006")
                link.send(packet)
            told += [repr(event) for event in core.take_events()]
            if hellos == 2:
                hellos += 1
                core.close(time.monotonic())
                continue
            until = end if core.deadline is None else core.deadline
            ready, _, _ = select.select([link], [], [], max(0.0, until - time.monotonic()))
            if ready:
                core.receive(time.monotonic(), link.recv(4096))
            else:
                core.tick(time.monotonic())
        told += [repr(event) for event in core.take_events()]
    return told


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
