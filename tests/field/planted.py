"""Secrets planted wherever one can come from, each to be found nowhere: in the testbed (a login's password), in the environment
(the pre-shared key), at a prompt (the clients' passwords), and in what devices say of themselves, which is all of these. The
router's password is the one that its box has."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

from bench_in_a_box import router

ROOT = Path(__file__).resolve().parents[2]
LOGIN = "Planted-Login-51be07"
PSK = "Planted-Psk-7f3a91"
PASSWORD = "Planted-Password-{number}-c04d"
TOKENS = (b"Planted-Login-", b"Planted-Psk-", b"Planted-Password-", router.PASSWORD.encode())
VARIABLE, PROMPT = "NATSTORM_TEST_PSK", "what the clients type"
ENVIRONMENT = {VARIABLE: PSK}
TELLS = "its own configuration:"

# As a program on the machine of the project's own gateway: one that shows what it was configured with, in a log and in each view.
_GATEWAY = f"""#!{sys.executable}
import sys
sys.path.insert(0, {str(ROOT)!r})
from harness.virtual import control, process
told = {{}}
settings_of, logs, carry_out = process.settings_of, process.GatewayProcess.logs, control.Control._carry_out
def heard(plan):
    told.update(plan)
    return settings_of(plan)
def configuration():
    users = ", ".join(list(told["users"].values())[:3])
    return f"{TELLS} key {{told['psk']}}, users {{users}}, login {LOGIN}\\n"
def carried_out(self, do, **arguments):
    done = carry_out(self, do, **arguments)
    if do == "view":
        done["texts"] = {{**done["texts"], "show running-config": configuration()}}
    return done
process.settings_of = heard
process.GatewayProcess.logs = lambda self: logs(self) | {{"running-config": configuration()}}
control.Control._carry_out = carried_out
sys.exit(process.main())
"""
_TCPDUMP = f"""#!/bin/sh
echo "{TELLS} key {PSK}, login {LOGIN}" >&2
PATH=${{PATH#*:}}
exec tcpdump "$@"
"""


def testbed(original: Path, work: Path, *, reached: bool) -> Path:
    """`reached`: whether somebody logs in there."""
    text = original.read_text(encoding="utf-8")
    secrets = [("psk: sharedsecret", f'psk: "%ENV{{{VARIABLE}}}"'), ('password: "pw{number}"', f'password: "%ASK{{{PROMPT}}}"')]
    login = [("username: root\n", f"username: root\n      password: {LOGIN}\n")] if reached else []
    for old, new in secrets + login:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    file = work / original.name
    file.write_text(text, encoding="utf-8")
    return file


def programs(folder: Path) -> Path:
    """A folder with programs that tell."""
    folder.mkdir()
    for name, text in (("natstorm-gateway", _GATEWAY), ("tcpdump", _TCPDUMP)):
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o755)
    return folder


# Takes the terminal on its standard input for its own, and becomes the program.
_AT_IT = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"


class Terminal:
    """A terminal at which somebody types the clients' password when asked. `end` gives all that stood on it."""

    def __init__(self) -> None:
        self._ours, self._its = os.openpty()
        self._shown = bytearray()
        self._reader = threading.Thread(target=self._read, daemon=True)

    def start(self, words: list[str], folder: Path) -> subprocess.Popen[str]:
        run = subprocess.Popen(
            [sys.executable, "-c", _AT_IT, *words], cwd=folder, stdin=self._its, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip
        os.close(self._its)
        self._reader.start()
        return run

    def end(self) -> str:
        """After the program's end, which is the terminal's as well once its children are gone."""
        self._reader.join(30)
        os.close(self._ours)
        return self._shown.decode(errors="replace")

    def _read(self) -> None:
        asked = 0
        with suppress(OSError):  # nobody has it open any more
            while piece := os.read(self._ours, 4096):
                self._shown += piece
                while self._shown.count(f"{PROMPT} (".encode()) > asked:
                    asked += 1
                    os.write(self._ours, PASSWORD.encode() + b"\n")


def _spellings(token: bytes) -> set[bytes]:
    """It as it stands, in hexadecimal, and what base64 makes of it wherever in a text it begins."""
    encoded = set()
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + token)
        encoded.add(whole[-(-before * 4 // 3) : (before + len(token)) * 4 // 3])  # what depends on it alone
    return {token, token.hex().encode(), token.hex().upper().encode(), *encoded}


_SPELLINGS = frozenset(spelling for token in TOKENS for spelling in _spellings(token))


def is_in(data: bytes) -> bool:
    return any(spelling in data for spelling in _SPELLINGS)


def files_with_it(*folders: Path) -> list[str]:
    """All files below the folders in which one of them stands."""
    files = (path for folder in folders for path in folder.rglob("*"))
    return [str(path) for path in files if path.is_file() and not path.is_symlink() and is_in(path.read_bytes())]


class Watch(threading.Thread):
    """Looks for them in the command lines that any process shows: a new process's again and again, since it becomes another by
    exec, an old one's now and then, since it may write another one over its own."""

    NEW, EVERY = 4, 20
    """Looks as long as which a process is new, and looks from one at all of them to the next."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen: set[str] = set()
        self.looks = 0
        self._over = threading.Event()
        self._ages: dict[str, int] = {}

    def run(self) -> None:
        while not self._over.wait(0.05):
            self._ages = {pid: self._ages.get(pid, 0) + 1 for pid in os.listdir("/proc") if pid.isdigit()}
            for pid, age in self._ages.items():
                if age <= self.NEW or self.looks % self.EVERY == 0:
                    self._look_at(pid)
            self.looks += 1

    def _look_at(self, pid: str) -> None:
        try:
            line = Path("/proc", pid, "cmdline").read_bytes()
        except OSError:
            return
        if is_in(line):
            self.seen.add(line.replace(b"\0", b" ").decode(errors="replace")[:200])

    def stop(self) -> None:
        self._over.set()
        self.join()
