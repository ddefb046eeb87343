"""`@enclosed`: a test that runs inside an enclosure of its own, which it may treat as a whole machine.

The body runs in a new process; a failed assertion there fails the test with what that process said. `unprivileged=True` runs it as
user nobody of that machine, with everything that Python needs bound to where that user can read it; `rootless=True` in an enclosure
that this user has made.
"""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

from harness.lab import enclosure, libc

NOBODY = 65534
HERE = Path(__file__).resolve().parent

_RUN = """
import importlib.util, sys
sys.path[:0] = sys.argv[4:]
spec = importlib.util.spec_from_file_location("enclosed_test", sys.argv[1])
module = importlib.util.module_from_spec(spec)
sys.modules["enclosed_test"] = module
spec.loader.exec_module(module)
if sys.argv[3] == "here":
    getattr(module, sys.argv[2]).inside()
else:
    module.enclosed.rerun_as_nobody(*sys.argv[1:4])
"""


_ENCLOSE = """
import os, sys
from harness.lab import enclosure
command = enclosure.command([sys.executable, *sys.argv[1:]])
os.execv(command[0], command)
"""


def enclosed(
    function: Callable[[], None] | None = None, *, unprivileged: bool = False, rootless: bool = False, timeout: float = 90.0
):
    """The test as pytest calls it, from outside; the body is its attribute `inside`."""

    def decorate(body: Callable[[], None]) -> Callable[[], None]:
        file = inspect.getsourcefile(body)

        def test() -> None:
            who = "here"
            if os.geteuid() == 0 and (unprivileged or rootless):
                who = "rootless" if rootless else "nobody"
            done = subprocess.run(
                enclosure.command([sys.executable, "-c", _RUN, str(file), body.__name__, who, str(HERE), str(enclosure.ROOT)]),
                capture_output=True,
                text=True,
                timeout=timeout,
                stdin=subprocess.DEVNULL,
                check=False,
            )
            assert done.returncode == 0, f"inside, status {done.returncode}:\n{done.stdout}\n{done.stderr}"

        test.__name__ = test.__qualname__ = body.__name__
        test.__doc__ = body.__doc__
        test.__module__ = body.__module__
        test.inside = body  # type: ignore[attr-defined]
        return test

    return decorate if function is None else decorate(function)


def _rerun_as_nobody(file: str, name: str, who: str) -> None:
    project = Path("/tmp/project")
    bound = [str(project / Path(path).relative_to(enclosure.ROOT)) for path in (file, str(HERE))]
    first = ["-c", _ENCLOSE] if who == "rootless" else []
    os.execvp("setpriv", [*as_nobody(), *first, "-c", _RUN, bound[0], name, "here", bound[1], str(project)])


enclosed.rerun_as_nobody = _rerun_as_nobody  # type: ignore[attr-defined]


def as_nobody() -> list[str]:
    """The start of a command line that runs this Python, with its packages, as user nobody: the original may lie in root's home.

    Python, packages and project are bound below /tmp: only for use within an enclosure, as its root.
    """
    python, packages, project = Path("/tmp/python"), Path("/tmp/packages"), Path("/tmp/project")
    binds = ((sys.base_prefix, python), (sysconfig.get_paths()["purelib"], packages), (enclosure.ROOT, project))
    for source, target in binds:
        target.mkdir()
        libc.mount(str(source), str(target), None, libc.MS_BIND)
    os.chdir("/tmp")
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    return [
        *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
        *("env", f"PYTHONPATH={packages}:{project}", "PYTHONDONTWRITEBYTECODE=1", str(python / "bin" / version)),
    ]
