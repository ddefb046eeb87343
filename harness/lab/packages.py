"""Debian packages: the host's tools, installed with apt; daemons, unpacked into a cache and never installed.

Installing strongSwan, xl2tpd or FreeRADIUS would start them on the host. Their packages, and all they need that the host lacks, are
fetched and unpacked into `<project>/.cache/<bundle>/<hash of names and versions>/`: a guest lays its bundle over the host's own
files, FreeRADIUS runs out of its own.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import LabError, MissingTool, typed

Say = Callable[[str], None]

PROJECT = Path(__file__).resolve().parents[2]
DPKG_STATUS = Path("/var/lib/dpkg/status")
APT_LISTS = Path("/var/lib/apt/lists")
POLICY = Path("/usr/sbin/policy-rc.d")
POLICY_TEXT = "#!/bin/sh\n# natstorm setup: no daemon is started while it installs tools\nexit 101\n"
SYSTEM_PATH = ("/usr/local/sbin", "/usr/sbin", "/sbin")  # where tools live that an ordinary user's PATH leaves out
UNPACK_LAYOUT = "2"  # part of the cache's hash: raised when what is done to the unpacked files changes


@dataclass(frozen=True, slots=True)
class HostTool:
    """A program the harness calls on the host, the package that holds it, and what for. `guest`: only labs with a guest need it."""

    program: str
    package: str
    purpose: str
    guest: bool = False


# None of these packages holds a daemon.
HOST_TOOLS = (
    HostTool("linux.uml", "user-mode-linux", "the gateway's kernel", guest=True),
    HostTool("modprobe", "kmod", "kernel modules, by hand in the guest's shell", guest=True),
    HostTool("ip", "iproute2", "namespaces, links and routes"),
    HostTool("nft", "nftables", "the kernel's NAT"),
    HostTool("conntrack", "conntrack", "the NAT's mappings"),
    HostTool("ethtool", "ethtool", "checksums as a wire carries them"),
    HostTool("tcpdump", "tcpdump", "captures"),
    HostTool("tshark", "tshark", "the second reader of every capture"),
    HostTool("ps", "procps", "processes"),
    HostTool("ssh", "openssh-client", "network devices that are there already"),
    HostTool("nsenter", "util-linux", "starting the guest in its namespace"),
)


@dataclass(frozen=True, slots=True)
class Bundle:
    """Packages that are unpacked together, into a folder of this name. `without`: what they name as needed and can do without."""

    name: str
    wanted: tuple[str, ...]
    without: tuple[str, ...] = ()

    @property
    def step(self) -> str:
        """What an error says is missing."""
        return f"{self.name} packages"

    @property
    def record(self) -> list[str]:
        return [*self.wanted, *(f"-{name}" for name in self.without)]


# What runs in the guest.
GUEST_PACKAGES = (
    "strongswan-charon",
    "strongswan-swanctl",
    "libcharon-extra-plugins",
    "libstrongswan-standard-plugins",
    "xl2tpd",
    "ppp",
    "iptables",
    "iputils-ping",
    "openssh-server",
    "inetutils-telnet",  # for this machine: harness.lab.unpacked
)

# A RADIUS server to judge our own client by, configured by whoever starts it. Left out is what its SQL driver for FreeTDS needs.
RADIUS = Bundle("radius", ("freeradius", "freeradius-utils"), without=("freeradius-config", "freetds-common", "libct4"))


def _guest() -> Bundle:
    return Bundle("guest", GUEST_PACKAGES)


# --- what is there ---


def find_program(name: str) -> str | None:
    """Full path of a program, looking where root's tools live too."""
    return shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", os.defpath), *SYSTEM_PATH)))


def missing_tools() -> list[HostTool]:
    return [tool for tool in HOST_TOOLS if find_program(tool.program) is None]


def as_root(command: str) -> str:
    """The command line by which this user has a root's command carried out: bare Debian has no sudo."""
    if os.geteuid() == 0:
        return command
    if find_program("sudo") is None:
        return f"su -l -c {shlex.quote(command)}"  # -l: root's own PATH, which apt-get needs
    return f"sudo sh -c {shlex.quote(command)}" if "&&" in command else f"sudo {command}"


def install_command(tools: Sequence[HostTool]) -> str:
    """The command to type where `natstorm setup` has no right to install, or another's package system is at fault."""
    install = "apt-get install --no-install-recommends " + " ".join(dict.fromkeys(tool.package for tool in tools))
    return as_root(install if any(APT_LISTS.glob("*_Packages*")) else f"apt-get update && {install}")


def require(*, guest: bool) -> None:
    """MissingTool, with one command for all of it, where this machine lacks what a lab is built of, with or without a guest.
    Installs nothing.

    To be asked outside the enclosure, in which everybody looks like root.
    """
    if missing := [tool for tool in missing_tools() if guest or not tool.guest]:
        names = ", ".join(tool.program for tool in missing)
        cure = typed("setup") if os.geteuid() == 0 else install_command(missing)
        raise MissingTool("tools of the host", f"missing: {names}", cure)
    if guest:
        guest_directory()


def cache_directory(bundle: Bundle | None = None) -> Path:
    return PROJECT / ".cache" / (bundle or _guest()).name


def guest_directory() -> Path:
    """The unpacked guest packages. MissingTool if they are not there, or the host's packages have changed since."""
    return _directory(_guest())


def radius_directory() -> Path:
    """As `guest_directory`, of FreeRADIUS."""
    return _directory(RADIUS)


def _directory(bundle: Bundle) -> Path:
    found = _recorded(bundle)
    if found is None:
        seen = f"not unpacked, or not for the packages this host now has, in {cache_directory(bundle)}"
        raise MissingTool(bundle.step, seen, typed("setup"))
    return found


def _recorded(bundle: Bundle) -> Path | None:
    cache = cache_directory(bundle)
    try:
        record = json.loads((cache / "current.json").read_text())
    except (FileNotFoundError, ValueError):
        return None
    directory = cache / str(record.get("directory"))
    if record.get("wanted") != bundle.record or record.get("host") != _host_state() or not directory.is_dir():
        return None
    return directory


def _host_state() -> list[int]:
    """Changes whenever dpkg installs or removes anything."""
    try:
        status = DPKG_STATUS.stat()
    except FileNotFoundError:
        return []
    return [status.st_mtime_ns, status.st_size]


# --- setup ---


def tell(line: str) -> None:
    """At once, into a file or a pipe too: what is fetched takes minutes on a slow line."""
    print(line, flush=True)


def setup(say: Say = tell) -> None:
    """Bring in all that is missing. Quick when nothing is; safe to run twice at once.

    MissingTool names what this user cannot do, and the command that would. FreeRADIUS only judges: that it cannot be had is told,
    and what is tested against it is skipped.
    """
    if not missing_tools() and _recorded(_guest()) is not None and _recorded(RADIUS) is not None:
        return
    try:
        cache_directory().mkdir(parents=True, exist_ok=True)
        lock = (cache_directory() / "setup.lock").open("w")
    except PermissionError as error:
        owner = f"{cache_directory()} belongs to another user: {error.strerror}"
        mend = f"chown -R {os.geteuid()}:{os.getegid()} {shlex.quote(str(cache_directory().parent))}"
        raise MissingTool("guest packages", owner, as_root(mend)) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _require_debian()
        if missing := missing_tools():
            _install(missing, say)
        _fetch(_guest(), say)
        try:
            _fetch(RADIUS, say)
        except LabError as error:
            say(f"FreeRADIUS is not to be had, and what is tested against it is skipped: {error}")


def _require_debian() -> None:
    for program in ("apt-get", "dpkg-deb"):
        if find_program(program) is None:
            names = " ".join(tool.package for tool in HOST_TOOLS)
            raise MissingTool("Debian packages", f"no program {program}: this is not a Debian system", f"install by hand: {names}")


def _install(tools: Sequence[HostTool], say: Say) -> None:
    if os.geteuid() != 0:
        names = ", ".join(tool.program for tool in tools)
        raise MissingTool("tools of the host", f"missing: {names}", install_command(tools))
    packages = list(dict.fromkeys(tool.package for tool in tools))
    say(f"installing {' '.join(packages)}")
    _update_lists_if_missing(say)
    with daemons_held_back():
        _apt("install", "-y", "--no-install-recommends", *packages, say=say)
    if still := missing_tools():
        raise MissingTool("tools of the host", "still missing: " + ", ".join(t.program for t in still), install_command(still))


@contextmanager
def daemons_held_back(policy: Path = POLICY) -> Iterator[None]:
    """While inside, Debian's maintainer scripts start no daemon.

    A policy of the host's own is put back afterwards; after a run that was killed, the next one finds the file that was set aside.
    """
    aside = policy.with_name(policy.name + ".natstorm-saved")
    _restore_policy(policy, aside)
    before = signal.getsignal(signal.SIGTERM)

    def leave(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, leave)
    try:
        if policy.exists():
            policy.rename(aside)
        policy.write_text(POLICY_TEXT)
        policy.chmod(0o755)
        yield
    finally:
        _restore_policy(policy, aside)
        signal.signal(signal.SIGTERM, before)


def _restore_policy(policy: Path, aside: Path) -> None:
    if policy.exists() and policy.read_text() == POLICY_TEXT:
        policy.unlink()
    if aside.exists():
        aside.rename(policy)


# --- bundles ---


def _fetch(bundle: Bundle, say: Say) -> None:
    if _recorded(bundle) is not None:
        return
    cache = cache_directory(bundle)
    cache.mkdir(parents=True, exist_ok=True)
    closure = _closure(bundle, say)
    digest = hashlib.sha256("\n".join([UNPACK_LAYOUT, *closure]).encode()).hexdigest()[:16]
    directory = cache / digest
    if not directory.is_dir():
        say(f"fetching {len(closure)} {bundle.step} (not installed on this host)")
        with tempfile.TemporaryDirectory(dir=cache, prefix="unpacking-") as scratch:
            root = Path(scratch) / "root"
            root.mkdir()
            _apt("download", *closure, cwd=Path(scratch), say=say)
            for package in sorted(Path(scratch).glob("*.deb")):
                _call(["dpkg-deb", "-x", str(package), str(root)])
            tidy_root(root)
            (root / ".packages").write_text("\n".join(closure) + "\n")
            try:
                root.rename(directory)
            except OSError:
                if not directory.is_dir():  # another process was quicker with the very same files
                    raise
    record = {"wanted": bundle.record, "host": _host_state(), "directory": digest}
    fresh = cache / f"current.json.{os.getpid()}"
    fresh.write_text(json.dumps(record))
    fresh.rename(cache / "current.json")
    say(f"{bundle.step} ready in {directory}")


def _closure(bundle: Bundle, say: Say) -> list[str]:
    """`name=version` of a bundle's packages and of all they need that the host has not installed."""
    _update_lists_if_missing(say)
    arguments = ["--simulate", "--no-install-recommends", "-o", "Debug::NoLocking=1", "install", *bundle.wanted]
    try:
        planned = parse_closure(_apt(*arguments))
    except LabError:
        if os.geteuid() != 0:
            raise
        say("the package lists do not serve: apt-get update")
        _apt("update", say=say)
        planned = parse_closure(_apt(*arguments))
    return [one for one in planned if one.partition("=")[0] not in bundle.without]


def parse_closure(text: str) -> list[str]:
    """From `apt-get --simulate install`: `Inst name [old] (version release [arch])` lines to sorted name=version."""
    found = [f"{m[1]}={m[2]}" for m in re.finditer(r"^Inst (\S+) (?:\[[^\]]*\] )?\((\S+) ", text, re.MULTILINE)]
    if text.count("\nInst ") + text.startswith("Inst ") != len(found):
        raise LabError("Debian packages", "apt-get's plan has lines that could not be read:\n" + text)
    return sorted(found)


def tidy_root(root: Path) -> None:
    """Make unpacked packages fit a merged /usr, and readable: the guest of an ordinary user reads them with that user's rights.

    pppd's hooks go: nothing hangs on them here, and each costs a client's set-up a quarter of a second in the guest.
    """
    for name in ("bin", "sbin", "lib", "lib64"):
        old = root / name
        if old.is_dir() and not old.is_symlink():
            shutil.copytree(old, root / "usr" / name, symlinks=True, dirs_exist_ok=True)
            shutil.rmtree(old)
    for pattern in ("ip-*", "ipv6-*"):
        for hook in (root / "etc" / "ppp").glob(pattern):
            shutil.rmtree(hook) if hook.is_dir() else hook.unlink()
    for path in [root, *root.rglob("*")]:
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))


def _update_lists_if_missing(say: Say) -> None:
    if any(APT_LISTS.glob("*_Packages*")):
        return
    if os.geteuid() != 0:
        raise MissingTool("Debian packages", f"no package lists in {APT_LISTS}", as_root("apt-get update"))
    say("no package lists yet: apt-get update")
    said = _apt("update", say=say)
    if not any(APT_LISTS.glob("*_Packages*")):  # apt-get calls it a success when no mirror answered
        seen = "\n".join(line for line in said.splitlines() if line.startswith(("Err:", "  ", "E:"))) or "no package list came"
        raise LabError("apt-get update", seen, "is a Debian mirror in reach? see /etc/apt/sources.list")


def _apt(*arguments: str, cwd: Path | None = None, say: Say | None = None) -> str:
    # noninteractive: every question is answered with its default (wireshark-common's is: no capturing for ordinary users)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8", "NEEDRESTART_SUSPEND": "1"}
    environment["PATH"] = os.pathsep.join((os.environ.get("PATH", os.defpath), *SYSTEM_PATH))  # dpkg insists on it
    command = ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=300", "-o", "APT::Sandbox::User=root", *arguments]
    return _call(command, cwd=cwd, env=environment, say=say)


def _call(command: list[str], say: Say | None = None, **options: Any) -> str:
    """Run to the end and return the output; with `say`, tell what it fetches and unpacks as it goes."""
    argv = [find_program(command[0]) or command[0], *command[1:]]
    options |= {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    lines: list[str] = []
    with subprocess.Popen(argv, **options) as run:
        assert run.stdout is not None
        for line in run.stdout:
            lines.append(line)
            if say is not None and line.startswith(("Get:", "Setting up ", "Err:")):
                say("  " + line.rstrip())
    if run.returncode != 0:
        shown = " ".join([command[0], *[word for word in command[1:] if not word.startswith("-") and "=" not in word][:4]])
        seen = "\n".join("".join(lines).strip().splitlines()[-6:]) or f"exit status {run.returncode}"
        raise LabError(f"{shown} …", seen, "see the message above; is a Debian mirror in reach?")
    return "".join(lines)
