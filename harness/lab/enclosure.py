"""The enclosure: one new network, mount and PID namespace in which a whole run lives, so that nothing can be left behind.

    shell ── launcher ── reaper (PID 1 inside) ── the run (pytest, natstorm, the keeper of a lab) ── guests, captures …
             outside     inside                   inside

`ensure()` replaces the calling process by the launcher, which makes the namespaces and starts the same command again within them.
Not root: a user namespace comes first, in which the caller is mapped to root. Root does without it: a map of one user breaks
daemons and socket options.

Whoever is killed, even by SIGKILL: the death of the reaper ends every process inside (the kernel kills a PID namespace with its
first process), the death of the launcher ends the reaper, the death of the run makes the reaper exit. Namespaces, interfaces,
mounts and the files on the tmpfs then have no owner any more, and the kernel takes them away.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.errors import LabError, NatstormError
from harness.lab import launcher, mounts

ROOT = Path(__file__).resolve().parents[2]
"""Where the `harness` package lies: the launcher finds it there, installed or not."""

_BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from {module} import main; sys.exit(main(sys.argv[2:]))"


def inside() -> bool:
    """Whether this process already lives in an enclosure: the environment names the PID namespace that it really is in."""
    return os.environ.get(launcher.MARK) == launcher.pid_namespace()


def command(argv: Sequence[str]) -> list[str]:
    """The command line that runs `argv` inside a new enclosure, with the caller's terminal, environment and exit status."""
    return python("harness.lab.launcher", *argv)


def python(module: str, *arguments: str) -> list[str]:
    """The command line that calls `main(arguments)` of a module of this project, wherever it is started."""
    return [sys.executable, "-P", "-c", _BOOT.format(module=module), str(ROOT), *arguments]


def ensure(argv: Sequence[str] | None = None) -> None:
    """Returns at once inside an enclosure; otherwise becomes the launcher of one that runs `argv` (default: this very command).

    Raises LabError where the kernel forbids it, UsageError where an argument names a place that the enclosure hides. The caller
    has closed what must be closed: nothing after this call is run, no `finally`, no `atexit`.
    """
    if inside():
        return
    wanted = [sys.executable, *sys.orig_argv[1:]] if argv is None else list(argv)
    rehearse(wanted)
    sys.stdout.flush()
    sys.stderr.flush()
    launch = command(wanted)
    os.execv(launch[0], launch)


def ensure_for_pytest(config: Any) -> None:
    """`ensure()` for pytest_configure: gives the terminal back first, which pytest's capture has taken by then."""
    if inside():
        return
    capture = config.pluginmanager.getplugin("capturemanager")
    if capture is not None:
        capture.suspend_global_capture(in_=True)
    try:
        ensure()
    finally:  # only reached where ensure() raised
        if capture is not None:
            capture.resume_global_capture()


def rehearse(argv: Sequence[str] = ()) -> None:
    """Makes an enclosure with nothing in it, in a child process, and takes it down: raises what stands in the way, or returns."""
    kept = mounts.kept_paths(launcher.needed_paths(), argv, Path.cwd())
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _rehearse_in_child(writer, kept)
    os.close(writer)
    with open(reader, encoding="utf-8") as stream:
        said = stream.read()
    _, status = os.waitpid(child, 0)
    if said:
        raise LabError(**json.loads(said))
    if status != 0:
        raise LabError("enclosure", f"the rehearsal ended with status {os.waitstatus_to_exitcode(status)} without a word", None)


def obstacle() -> LabError | None:
    """What keeps this machine from making enclosures; None where nothing does. For `natstorm doctor`."""
    try:
        rehearse()
    except LabError as error:
        return error
    return None


def _rehearse_in_child(writer: int, kept: Sequence[Path]) -> None:
    status = 1
    try:
        launcher.separate()
        child = os.fork()
        if child == 0:
            launcher.move_in(kept)
            status = 0
        else:
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    except NatstormError as error:
        known = error if isinstance(error, LabError) else LabError("enclosure", str(error))
        os.write(writer, json.dumps({"step": known.step, "seen": known.seen, "cure": known.cure}).encode())
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)
