"""A network namespace of this process's own, in which it may bind ports 500 and 4500, whoever started it; one more for its peer."""

from __future__ import annotations

import os
import subprocess
import sys

GATEWAY, HERE = "192.0.2.2", "192.0.2.1"
CLIENTS = "10.0.0.0/16"
INSIDE = "NATSTORM_BENCHMARK_INSIDE"


def enter() -> None:
    """Starts the program anew inside, unless it is there already, and makes the clients' prefix local. Returns only inside."""
    if INSIDE not in os.environ:
        rights = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        command = ["unshare", *rights, "--net", sys.executable, "-m", "benchmarks", *sys.argv[1:]]
        os.execvpe(command[0], command, {**os.environ, INSIDE: "1"})
    _ip("link set lo up")
    _ip(f"route add local {CLIENTS} dev lo")


def link(process: int) -> None:
    """Joins this namespace and that of a process which `unshare --net` has started, by a pair of veth interfaces."""
    inside = ("nsenter", "--net", "--target", str(process))
    _ip(f"link add clients type veth peer name gateway netns {process}")
    _ip(f"address add {HERE}/24 dev clients")
    _ip("link set clients up")
    _ip(f"address add {GATEWAY}/24 dev gateway", *inside)
    _ip("link set gateway up", *inside)
    _ip(f"route add {CLIENTS} via {HERE}", *inside)


def _ip(words: str, *inside: str) -> None:
    subprocess.run([*inside, "ip", *words.split()], check=True)
