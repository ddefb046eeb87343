"""How a script runs on a device behind an SSH channel: the few lines of bash around it, and what they say. Pure.

The script is written to the wrapper's standard input, so that no process list shows it. It runs in a process group of its own, with
an empty standard input. What comes after it on the wrapper's input are names of signals for that group; the end of the input means
that the connection has gone, and ends the group. (OpenSSH's server lets what it started live on when its client is gone.)
"""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass

# Tokens frame what the script says: a login shell's greeting comes before the first, what outlives the script after the last.
# bash tells of jobs that a signal ended on its own standard error, which is therefore nobody's.
_BEGINNING = """
PATH=$PATH${1:+:$1}:/usr/local/sbin:/usr/sbin:/sbin
set --
IFS=" " read -r token merged size || exit 97
locale=$LC_ALL; LC_ALL=C; IFS= read -r -N "$size" script || exit 97; LC_ALL=$locale
"""
_WRAPPER = """
exec 3<&0 4>&2 </dev/null 2>/dev/null
[ "$merged" = merged ] && exec 4>&1
printf "%s begins\\n" "$token"
set -m
(eval "$script") 2>&4 3<&- 4>&- & job=$!
(
    exec >/dev/null 4>&-
    while IFS= read -r signal; do kill -s "$signal" -- "-$job"; done <&3
    kill -s TERM -- "-$job"
    for i in {1..20}; do kill -s 0 -- "-$job" || exit; sleep 0.1; done
    kill -s KILL -- "-$job"
) & watch=$!
exec 3<&-
wait "$job"; status=$?
((status > 128)) && kill -s KILL -- "-$job"
kill -s KILL -- "-$watch"
[ "$merged" = merged ] && printf "\\n%s ends %d\\n" "$token" "$status"
exit "$status"
"""
# For a program that one talks with: what is left of the wrapper's input is the program's.
_LINE = """
printf "%s begins\\n" "$token"
eval "$script"
"""

# The login shell may be any (bash, fish, csh): what it is given are words that all of them read alike, on one line, in quotes
# without a quote. The PATH that it has made goes on to root's, which sudo makes anew.
_OUTER = 'w=$(echo {text} | base64 -d) || exit 97; {become}exec bash --norc -c "$w" bash'
_BECOME_ROOT = '[ $EUID = 0 ] || exec sudo -n bash --norc -c "$w" bash "$PATH"; '


def command(*, root: bool, line: bool = False) -> str:
    """What to ask the server to execute; with `root`, by way of `sudo -n` where the user is another. `line`: for a program that one
    talks with, which ends by itself when its input does."""
    text = base64.b64encode((_BEGINNING + (_LINE if line else _WRAPPER)).encode()).decode()
    return f"exec bash --norc -c '{_OUTER.format(text=text, become=_BECOME_ROOT if root else '')}'"


@dataclass(frozen=True, slots=True)
class Framing:
    """One run of the wrapper. `merged`: the script's standard error goes where its output goes, and its end is told there."""

    token: str
    merged: bool

    @classmethod
    def new(cls, *, merged: bool) -> Framing:
        return cls(f"@@natstorm-{secrets.token_hex(8)}", merged)

    def opening(self, script: str) -> bytes:
        """The first bytes for the wrapper's standard input."""
        text = script.encode("utf-8", "surrogateescape")
        if b"\0" in text:
            raise ValueError("a script for bash cannot hold a NUL")
        # A read of 0 characters would wait for the line's end.
        text = text or b":"
        return b"%s %s %d\n" % (self.token.encode(), b"merged" if self.merged else b"apart", len(text)) + text

    @property
    def beginning(self) -> bytes:
        """After this come the script's own words."""
        return f"{self.token} begins\n".encode()

    def output(self, heard: bytes) -> bytes:
        """What the script has said, of all that was heard so far."""
        _, found, said = heard.partition(self.beginning)
        return said.partition(self._ending)[0] if found else b""

    def status(self, heard: bytes) -> int | None:
        """The script's exit status, None while it has not ended."""
        position = heard.rfind(self._ending)
        line, ended, _ = heard[position + len(self._ending) :].partition(b"\n")
        return int(line) if position >= 0 and ended else None

    @property
    def _ending(self) -> bytes:
        return f"\n{self.token} ends ".encode()


class Greeted:
    """The output of a wrapper's run, in pieces of any size as they are heard, without what came before the script's own words: a
    login shell may greet."""

    def __init__(self, framing: Framing) -> None:
        self._beginning = framing.beginning
        self._heard = b""
        self.begun = False
        """Whether the script has begun."""

    def own(self, piece: bytes) -> bytes:
        """What of this piece is the script's own; empty before it begins."""
        if self.begun:
            return piece
        self._heard += piece
        _, found, said = self._heard.partition(self._beginning)
        self.begun = bool(found)
        return said


def label(script: str, limit: int = 80) -> str:
    """A script's name in messages: itself where it is one short line."""
    lines = script.strip().splitlines()
    if len(lines) == 1 and len(lines[0]) <= limit:
        return lines[0]
    return f"a script of {len(lines)} lines" if len(lines) > 1 else f"{lines[0][:limit]}…" if lines else ""
