"""`natstorm doctor`: what this machine needs for a run, what it lacks, and the command that mends it."""

from __future__ import annotations

import json
import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

from harness.errors import LabError, MissingTool, typed
from harness.lab import enclosure, kernel_modules, packages

MINIMUM_PYTHON = (3, 11)
MINIMUM_NODE = 20
# import name, distribution, what for
MODULES = (
    ("gmpy2", "gmpy2", "Diffie-Hellman"),
    ("cryptography", "cryptography", "ciphers"),
    ("Crypto", "pycryptodome", "MS-CHAPv2"),
    ("yaml", "PyYAML", "testbeds and behaviours"),
    ("allure_commons", "allure-pytest", "results for the report"),
    ("scapy", "scapy", "probes"),
    ("pyats", "pyats", "testbed files"),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One requirement. `needed` is false for what a run can do without; `cure` is a command to type, or a sentence."""

    name: str
    ok: bool
    seen: str
    cure: str = ""
    needed: bool = True


def examine() -> list[Finding]:
    """Every requirement, looked at now. Nothing is installed or changed."""
    checks = (_python, _modules, _enclosure, _tap, _tools, _kernel, _guest_packages, _radius_packages, _report)
    return [finding for check in checks for finding in check()]


def main(as_json: bool = False, write: Callable[[str], object] = print) -> int:
    """Print the findings; 0 when nothing that is needed is missing, 1 otherwise."""
    findings = examine()
    ready = all(finding.ok for finding in findings if finding.needed)
    if as_json:
        write(json.dumps({"ready": ready, "findings": [asdict(finding) for finding in findings]}, indent=2))
    else:
        write(table(findings))
        write("this machine is ready" if ready else "this machine is not ready: see the cures above")
    return 0 if ready else 1


def table(findings: Iterable[Finding]) -> str:
    """One line each; a cure that mends several neighbours stands once, below the last of them."""
    rows = list(findings)
    width = max(len(row.name) for row in rows)
    lines = []
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        state = "ok     " if row.ok else "MISSING" if row.needed else "lacking"
        lines.append(f"{state}  {row.name:<{width}}  {row.seen}")
        if not row.ok and row.cure and not (following is not None and not following.ok and following.cure == row.cure):
            lines.append(f"{'':9}{'':<{width}}  cure: {row.cure}")
    return "\n".join(lines)


def _python() -> Iterable[Finding]:
    ok = sys.version_info >= MINIMUM_PYTHON
    yield Finding("Python", ok, platform.python_version(), "install Python 3.11 or later and make the virtual environment anew")
    machine = platform.machine()
    yield Finding("processor", machine == "x86_64", machine, "User Mode Linux needs an x86-64 machine")


def _modules() -> Iterable[Finding]:
    for name, distribution, purpose in MODULES:
        ok = find_spec(name) is not None
        yield Finding(f"Python package {distribution}", ok, purpose, f"make -C {shlex.quote(str(packages.PROJECT))} setup")


def _enclosure() -> Iterable[Finding]:
    obstacle = enclosure.obstacle()
    if obstacle is None:
        who = "as root" if os.geteuid() == 0 else "in a user namespace"
        yield Finding("namespaces", True, f"network, mount and PID namespaces, {who}")
    else:
        yield Finding("namespaces", False, f"{obstacle.step}: {obstacle.seen}", obstacle.cure or "run as root")


def _tap() -> Iterable[Finding]:
    device = Path("/dev/net/tun")
    if os.access(device, os.R_OK | os.W_OK):
        yield Finding("/dev/net/tun", True, "the gateway is attached by a tap")
    else:
        why = "cannot be opened by this user" if device.exists() else "is not there"
        seen = f"{why}; the gateway is attached by a raw socket instead"
        yield Finding("/dev/net/tun", False, seen, packages.as_root("modprobe tun"), needed=False)


def _tools() -> Iterable[Finding]:
    missing = packages.missing_tools()
    cure = typed("setup") if os.geteuid() == 0 else packages.install_command(missing)
    for tool in packages.HOST_TOOLS:
        yield Finding(tool.program, tool not in missing, f"{tool.purpose} (Debian package {tool.package})", cure)


def _kernel() -> Iterable[Finding]:
    try:
        root = kernel_modules.module_root()
        for ipsec in ("plain", "connmark", "demux"):
            kernel_modules.load_order(root, kernel_modules.ROOT_MODULES + kernel_modules.for_gateway(ipsec))
    except LabError as error:
        missing = packages.missing_tools()
        cure = packages.install_command(missing) if any(tool.program == "linux.uml" for tool in missing) else error.cure or ""
        yield Finding("the guest's kernel modules", False, error.seen, cure)
    else:
        yield Finding("the guest's kernel modules", True, str(root))


def _guest_packages() -> Iterable[Finding]:
    names = ", ".join(packages.GUEST_PACKAGES)
    try:
        directory = packages.guest_directory()
    except MissingTool as error:
        yield Finding("guest packages", False, f"{error.seen} ({names})", error.cure or "")
    else:
        yield Finding("guest packages", True, str(directory))


def _radius_packages() -> Iterable[Finding]:
    """Nothing but tests of our own RADIUS client asks for it."""
    try:
        directory = packages.radius_directory()
    except MissingTool as error:
        yield Finding("FreeRADIUS", False, f"{error.seen} ({', '.join(packages.RADIUS.wanted)})", error.cure or "", needed=False)
    else:
        yield Finding("FreeRADIUS", True, str(directory))


def _report() -> Iterable[Finding]:
    """Without Node the run still leaves its results and a plain summary page."""
    node = packages.find_program("node")
    version = "" if node is None else _output([node, "--version"])
    major = re.match(r"v(\d+)", version)
    ok = major is not None and int(major[1]) >= MINIMUM_NODE
    cure = f"install Node.js {MINIMUM_NODE} or later (https://nodejs.org); without it there is a plain summary page"
    yield Finding("Node.js", ok, version or "not there", cure, needed=False)
    allure = packages.PROJECT / "node_modules" / ".bin" / "allure"
    seen = str(allure) if allure.exists() else f"no {allure}"
    yield Finding("Allure 3", allure.exists(), seen, f"cd {shlex.quote(str(packages.PROJECT))} && npm ci", needed=False)


def _output(command: list[str]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=False).stdout.strip()
    except OSError as error:
        return str(error)
