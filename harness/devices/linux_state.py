"""What a driver changes on a Linux device: read before it is changed, and the script that puts it back.

`script` asks the device, `read` understands its answer, `undo` writes the script: pure, all three. The undo script may run any
number of times, needs nothing but bash and the tools that the driver itself uses, and says what it could not put back. A file
that is neither what was saved nor what the run has written there is somebody else's by now: it stays, and that is told.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import shlex
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from harness.devices import linux_marked, linux_units
from harness.devices.execute import Execute, complaint
from harness.devices.journal import Journal, Undo, reached
from harness.devices.linux_view import SECTION, announce, sections
from harness.errors import DeviceError
from harness.model.reach import Connection

SAVE_S = 60.0
BOOT = "/proc/sys/kernel/random/boot_id"
TOLD = "told: "
"""How a line of an undo script's begins that is to be told, though nothing failed."""
THEIRS = "theirs: "
"""How a line begins that names a file that somebody else has changed meanwhile, and that was left as it is."""
FORCED = "forced=1"
"""The line before an undo script with which it spares no such file."""
PUT_BACK = "put the configuration back"
PART = ".natstorm-part"
"""What a file is called until it is whole."""


class KeptTheirs(DeviceError):
    """Files were kept that somebody else has changed since the run wrote them. `by_hand`: the script that puts them back as well;
    `theirs_alone`: whether that is all that was not put back."""

    def __init__(self, device: str, seen: str, script: str, theirs_alone: bool) -> None:
        super().__init__(device, PUT_BACK, seen)
        self.by_hand = f"{FORCED}\n{script}"
        self.theirs_alone = theirs_alone


@dataclass(frozen=True, slots=True)
class Wanted:
    """`files` by path; `settings` as paths below /proc/sys, put back in their order (one with a * stands for all that match);
    nftables `tables` ("ip natstorm"); `daemons` by the name of their program; `folders`: directories that go with all that is in
    them, where they were not there; `extra`: lines of bash that undo what was made anew, whatever was there before. `mark` is what
    the processes bear that are started meanwhile (linux_marked). `written`: of each file that is written as a whole, in place of
    what was there, the SHA-256 of all that the run has written there, or is about to; the others are put back in any case."""

    files: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    daemons: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    mark: str = ""
    written: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def parents(self) -> tuple[str, ...]:
        """Every directory that may have to be made for the files, the outer ones first."""
        found = {str(one) for path in self.files for one in PurePosixPath(path).parents}
        return tuple(sorted(found - {"/", "."}))


@dataclass(frozen=True, slots=True)
class File:
    """Behind a symbolic link it is what the link leads to; one that leads nowhere has neither mode nor owner."""

    mode: str  # octal digits
    owner: str  # "uid:gid"
    content: str  # base64
    link: str = ""  # what the link says, base64; "" for what is no symbolic link


@dataclass(frozen=True, slots=True)
class Daemon:
    """One process that ran: as a unit of systemd's, or by a command line (base64, its words ended by NUL)."""

    unit: str
    command: str


@dataclass(frozen=True, slots=True)
class Saved:
    """None for what was not there, () for a daemon of which no process ran; `missing`: the directories that were not there, the
    outer ones first; `boot`: the kernel's own name for the time since it was started, "" where it has none."""

    files: Mapping[str, File | None]
    settings: Mapping[str, str | None]  # for one with a *: lines of path and value
    tables: Mapping[str, str | None]
    daemons: Mapping[str, tuple[Daemon, ...]]
    missing: tuple[str, ...] = ()
    boot: str = ""


def script(wanted: Wanted) -> str:
    """Prints a section for everything wanted, empty for what is not there; fails where something cannot be read."""
    lines = [announce("boot"), f"cat {BOOT} 2>/dev/null"]
    for path in wanted.files:
        name = shlex.quote(path)
        shown = f"content=$(base64 -w 0 {name}) && stat -L -c '%a %u:%g' {name} && printf %s \"$content\""
        link = f"if [ -L {name} ]; then echo link $(readlink -n {name} | base64 -w 0) || exit 1; fi"
        lines += [announce(f"file {path}"), link, f"if [ -e {name} ]; then {shown} || exit 1; fi"]
    for setting in wanted.settings:
        name = shlex.quote(f"/proc/sys/{setting}")
        one = f"if [ -e {name} ]; then cat {name} || exit 1; fi"
        every = f'for f in /proc/sys/{setting}; do [ ! -e "$f" ] || echo "${{f#/proc/sys/}} $(< "$f")" || exit 1; done'
        lines += [announce(f"setting {setting}"), every if "*" in setting else one]
    if wanted.tables:
        lines.append('tables=$(nft list tables) || { echo "nft does not answer"; exit 1; }')
    for table in wanted.tables:
        there = f'grep -qxF {shlex.quote("table " + table)} <<< "$tables"'
        lines += [announce(f"table {table}"), f"if {there}; then nft -s list table {table} || exit 1; fi"]
    for daemon in wanted.daemons:
        one = 'echo "$(unit_of $pid) $(base64 -w 0 /proc/$pid/cmdline)"'
        lines += [announce(f"daemon {daemon}"), f"for pid in $(here {daemon}); do {one}; done"]
    if directories := " ".join(map(shlex.quote, (*wanted.parents, *wanted.folders))):
        lines += [announce("missing"), f'for d in {directories}; do [ -d "$d" ] || echo "$d"; done']
    functions = [linux_units.UNIT_OF, linux_marked.HERE] if wanted.daemons else []
    return "\n".join(["umask 077", *functions, *lines, "true"]) + "\n"


def read(text: str, wanted: Wanted) -> Saved:
    """ValueError where the answer lacks a section, or one cannot be understood: then nothing may be changed."""
    found = sections(text)

    def take(name: str) -> str:
        if name not in found:
            raise ValueError(f"no section {name!r}")
        return found[name]

    return Saved(
        {path: _file(take(f"file {path}")) for path in wanted.files},
        {name: take(f"setting {name}").strip() or None for name in wanted.settings},
        {table: take(f"table {table}") or None for table in wanted.tables},
        {name: _daemons(take(f"daemon {name}")) for name in wanted.daemons},
        tuple(take("missing").splitlines()) if wanted.parents or wanted.folders else (),
        take("boot").strip(),
    )


def undo(saved: Saved, wanted: Wanted) -> tuple[tuple[str, ...], str]:
    """(what it does, in sentences; the script). What does not outlive a start of the device is left alone after one: what is there
    then is its owner's."""
    what: list[str] = []
    lines = ["umask 077", "failed=0", 'missed() { echo "not put back: $1"; failed=1; }', f'told() {{ echo "{TOLD}$1"; }}']
    lines += [_KEEPS] if wanted.written else []

    def step(sentence: str, command: str) -> None:
        what.append(sentence)
        lines.append(f"{{ {command}\n}} || missed {shlex.quote(sentence)}")

    lines += [linux_marked.functions(wanted.mark)] if wanted.daemons else []
    now = f'[ "$(cat {BOOT} 2>/dev/null)" = {shlex.quote(saved.boot)} ]' if saved.boot else "true"
    lines += [f"same=1; {now} || same=", 'if [ "$same" ]; then :']
    for name in saved.daemons:
        waited = f"for i in {{1..50}}; do ours {name} >/dev/null || break; sleep 0.1; done"
        step(f"end {name}", f"kill $(ours {name}) 2>/dev/null; {waited}; kill -KILL $(ours {name}) 2>/dev/null; true")
        sentence = f"{name}, which somebody has started meanwhile, is left as it is: it may have read the run's files"
        lines.append(f'others {name} >/dev/null && told "{sentence}"')
    lines += [*wanted.extra, "fi"]
    for path, file in saved.files.items():
        whole = path in wanted.written
        command = f"rm -f {shlex.quote(path)}" if file is None else _put(path, file, target=not whole)
        if whole:
            command = f"keeps {_as_saved(path, file)} {' '.join(wanted.written[path])} || {{ {command}; }}"
            lines.append(f"rm -f {shlex.quote(path + PART)}")
        step(f"remove {path}" if file is None else f"put {path} back", command)
    for folder in reversed(saved.missing):
        name = shlex.quote(folder)
        if folder in wanted.folders:  # somebody's daemon may have it by now
            used = " || ".join(f"others {one} >/dev/null" for one in wanted.daemons) or "false"
            step(f"remove {folder}", f'[ -z "$same" ] || {used} || rm -rf {name}')
        else:  # what somebody has put there since keeps it
            step(f"remove {folder}", f'[ ! -d {name} ] || [ -n "$(ls -A {name})" ] || rmdir {name}')
    lines += ['if [ "$same" ]; then :']
    for setting, value in saved.settings.items():
        if value is not None and "*" in setting:  # an interface that has gone since needs nothing
            step(f"set {setting} to what they were", " && ".join(_if_there(*line.split(" ", 1)) for line in value.splitlines()))
        elif value is not None:
            step(f"set {setting} to {value}", f"echo {shlex.quote(value)} > {shlex.quote(f'/proc/sys/{setting}')}")
    for table, rules in saved.tables.items():
        sentence = f"remove nftables table {table}" if rules is None else f"put nftables table {table} back"
        step(sentence, f"nft -f - <<'end'\ntable {table}\ndelete table {table}\n{rules or ''}end")
    for name, daemons in saved.daemons.items():
        for daemon in daemons:
            step(*_started_again(name, daemon))
    lines += ["else", *_anew(saved), "fi"]
    return tuple(what), "\n".join([*lines, "exit $failed"]) + "\n"


# keeps PATH SAVED WRITTEN…: whether what is there is somebody else's. SAVED is "none" for what was not there, a SHA-256, or "link:"
# and what the link said. What a start of the device has taken away, nobody has; and a link goes for a moment as it is replaced.
_KEEPS = """
keeps() {
    local path=$1 saved=$2 now; shift
    [ -z "$forced" ] || return 1
    if [ ! -e "$path" ] && [ ! -L "$path" ]; then
        case $saved in none|link:*) return 1;; esac
        [ "$same" ] || return 1
    elif [ ! -L "$path" ] || [ "link:$(readlink "$path")" != "$saved" ]; then
        now=$(sha256sum 2>/dev/null < "$path") || now=
        for one; do [ "$one" != "${now%% *}" ] || return 1; done
    else
        return 1
    fi
    echo "THEIRS$path"; failed=1
}
""".replace("THEIRS", THEIRS)


def digest(content: str) -> str:
    """As in `Wanted.written`."""
    return hashlib.sha256(content.encode()).hexdigest()


def _as_saved(path: str, file: File | None) -> str:
    if file is None:
        was = "none"
    elif file.link:
        was = f"link:{base64.b64decode(file.link).decode(errors='surrogateescape')}"
    else:
        was = hashlib.sha256(base64.b64decode(file.content)).hexdigest()
    return f"{shlex.quote(path)} {shlex.quote(was)}"


def _started_again(name: str, daemon: Daemon) -> tuple[str, str]:
    """(sentence, command): by its unit, or by its command line where none like it runs, of whomever."""
    if daemon.unit:
        return f"start {daemon.unit}", f"systemctl start {shlex.quote(daemon.unit)}"
    words = base64.b64decode(daemon.command).decode(errors="surrogateescape").rstrip("\0").split("\0")
    same = f'base64 -w 0 /proc/$pid/cmdline 2>/dev/null | grep -qxF {shlex.quote(daemon.command)}'
    runs = f"runs() {{ local pid; for pid in $(here {name}); do {same} && return; done; return 1; }}"
    started = f"{{ setsid {shlex.join(words)} </dev/null >/dev/null 2>&1 & }}"
    there = "for i in {1..50}; do runs && break; sleep 0.1; done; runs"
    return f"start {name} as it ran", f"{runs}; runs || {started}; {there}"


def _anew(saved: Saved) -> list[str]:
    """Lines that tell what was left alone after a start of the device."""
    parts = {"its settings": saved.settings, "its nftables": saved.tables, "what runs there": saved.daemons}
    left = [name for name, part in parts.items() if part] or ["what it does"]
    told = f"it was started anew since: {', '.join(left)} and all else but files is left as it is"
    units = dict.fromkeys(daemon.unit for daemons in saved.daemons.values() for daemon in daemons if daemon.unit)
    sentences = [told, *(f"what {unit} read when it was started may be the run's: systemctl restart {unit}" for unit in units)]
    return [f"told {shlex.quote(sentence)}" for sentence in sentences]


async def save(execute: Execute, device: str, wanted: Wanted, connection: Connection | None = None) -> Undo:
    """Reads the device, changes nothing. DeviceError where something cannot be read: then nothing may be changed."""
    return _undo(await _saved(execute, device, wanted), wanted, device, connection)


def _undo(saved: Saved, wanted: Wanted, device: str, connection: Connection | None) -> Undo:
    what, text = undo(saved, wanted)
    return Undo(what, "linux", device, None if connection is None else reached(connection), script=text)


async def _saved(execute: Execute, device: str, wanted: Wanted) -> Saved:
    result = await execute(script(wanted), SAVE_S)
    if result.status != 0:
        # Of the last section alone: those before it hold files, in a form in which no secret is recognized.
        raise DeviceError(device, "save the configuration", complaint(result).rpartition(SECTION)[2][-500:])
    try:
        return read(result.output, wanted)
    except ValueError as error:
        raise DeviceError(device, "save the configuration", f"its answer is not whole: {error}") from error


async def put_back(execute: Execute, undo: Undo) -> tuple[str, ...]:
    """Sentences on what was left alone, and why. DeviceError with what was not put back; KeptTheirs where files of somebody else's
    are among that."""
    result = await execute(undo.script, SAVE_S)
    if result.status != 0:
        lines = complaint(result).splitlines()
        if theirs := [line.removeprefix(THEIRS) for line in lines if line.startswith(THEIRS)]:
            others = [line for line in lines if not line.startswith((THEIRS, TOLD))]
            seen = f"somebody else has changed the same meanwhile, which was left as it is: {', '.join(theirs)}"
            raise KeptTheirs(undo.device or "device", "\n".join([seen, *others])[-1000:], undo.script, not others)
        raise DeviceError(undo.device or "device", PUT_BACK, "\n".join(lines)[-1000:])
    return tuple(line.removeprefix(TOLD) for line in result.output.splitlines() if line.startswith(TOLD))


class Care:
    """A driver's part in this: saves and journals before its first change, and puts back. Without a journal it does neither, since
    the device is the run's own and goes with it."""

    def __init__(
        self,
        execute: Execute,
        device: str,
        changed: Callable[[], Wanted],
        journal: Journal | None,
        connection: Connection | None,
    ) -> None:
        self._execute = execute
        self._device = device
        self._changed = changed
        self._journal = journal
        self._connection = connection
        self._kept: tuple[int, Undo] | None = None
        self._saved: Saved | None = None
        self._turn = asyncio.Lock()

    async def save(self) -> Undo:
        return await save(self._execute, self._device, self._changed(), self._connection)

    async def before_changes(self, look: Callable[[], Awaitable[None]] | None = None) -> bool:
        """To be awaited before anything is changed; whether this was the first time. `look` is awaited then, before all else: what
        it raises forbids the change."""
        async with self._turn:
            if self._journal is None or self._kept is not None:
                return False
            if look is not None:
                await look()
            self._saved = await _saved(self._execute, self._device, self._changed())
            self._write_down(self._saved, self._journal)
            return True

    async def before_more(self) -> None:
        """To be awaited before anything is written that `before_changes` did not know of: what the run writes is told from what
        somebody else does. Nothing where nothing was saved yet."""
        async with self._turn:
            if self._journal is not None and self._kept is not None and self._saved is not None:
                self._write_down(self._saved, self._journal)

    def _write_down(self, saved: Saved, journal: Journal) -> None:
        """In place of what was written down before."""
        last, found = self._kept, _undo(saved, self._changed(), self._device, self._connection)
        if last is None or last[1] != found:
            self._kept = journal.before(found), found
            if last is not None:
                journal.done(last[0])

    async def restore(self) -> None:
        async with self._turn:
            if self._journal is not None and self._kept is not None:
                number, found = self._kept
                await put_back(self._execute, found)
                self._journal.done(number)
                self._kept = None


def _if_there(setting: str, value: str) -> str:
    path = shlex.quote(f"/proc/sys/{setting}")
    return f"{{ [ ! -e {path} ] || echo {shlex.quote(value)} > {path}; }}"


def _put(path: str, file: File, target: bool) -> str:
    """Commands: the link first, where there was one; then what it led to, unless that is as it was, or no `target` was written."""
    name = shlex.quote(path)
    commands = [f"mkdir -p {shlex.quote(path.rpartition('/')[0] or '/')}"]
    if file.link:
        link = shlex.quote(base64.b64decode(file.link).decode(errors="surrogateescape"))
        commands.append(f'{{ [ "$(readlink {name})" = {link} ] || {{ rm -f {name} && ln -s -- {link} {name}; }}; }}')
    if file.mode and (target or not file.link):
        kept = f'[ "$(stat -c "%a %u:%g" "$real")" = "{file.mode} {file.owner}" ]'
        same = f'printf %s {file.content} | base64 -d | cmp -s - "$real" && {kept}'
        whole = f'printf %s {file.content} | base64 -d > "$part" && chown {file.owner} "$part" && chmod {file.mode} "$part"'
        commands.append(f"real=$(readlink -f {name}) && part=$real{PART}")
        commands.append(f'{{ {{ {same}; }} || {{ {whole} && mv -f "$part" "$real"; }}; }}')
    return " && ".join(commands)


def _file(text: str) -> File | None:
    link = ""
    if text.startswith("link "):
        first, _, text = text.partition("\n")
        link = first.removeprefix("link ").strip()
        base64.b64decode(link, validate=True)
        if not text.strip():
            return File("", "", "", link)
    if not text:
        return None
    head, _, content = text.partition("\n")
    mode, owner = head.split()
    base64.b64decode(content.strip(), validate=True)
    return File(mode, owner, content.strip(), link)


def _daemons(text: str) -> tuple[Daemon, ...]:
    """One of a service stands for all of its processes."""
    found: dict[str, Daemon] = {}
    for line in text.splitlines():
        unit, _, command = line.rpartition(" ")
        base64.b64decode(command, validate=True)
        if command:  # else it ended while it was looked at
            found.setdefault(unit.strip() or command, Daemon(unit.strip(), command))
    return tuple(found.values())
