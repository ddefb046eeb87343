"""Log messages for hosts (`logging A.B.C.D`): by UDP to port 514, as RFC 3164 has it and as IOS writes them.

What IOS takes where no line says: the facility local7, and the severities down to informational, so that what `debug` prints stays
on terminals.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.virtual.ios.router import IosRouter

PORT = 514
SOURCE_PORT = 50514
LOCAL7, INFORMATIONAL = 23, 6
_SEVERITY = re.compile(r": %[A-Z0-9_]+-([0-7])-")


class Syslog:
    """`tell` is given each line that the router logs, with its time stamp. The messages are numbered from the router's boot."""

    def __init__(self, router: IosRouter) -> None:
        self._router = router
        self._number = 0

    def forget(self) -> None:
        self._number = 0

    def tell(self, line: str) -> None:
        found = _SEVERITY.search(line)
        if found is None or int(found[1]) > INFORMATIONAL:
            return
        self._number += 1
        if not self._router.up:
            return
        message = f"<{LOCAL7 * 8 + int(found[1])}>{self._number}: {line}".encode()
        state = self._router.state
        for entry in state.configuration.tree.find("logging"):
            if (host := entry.words[1])[:1].isdecimal():
                self._router.core.send_own(state.now, host, SOURCE_PORT, PORT, message)
