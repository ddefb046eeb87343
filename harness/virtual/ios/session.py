"""One terminal on a virtual IOS router: login, modes, prompts, paging, dialogues. Sans-IO: bytes and `now` in, bytes out.

    session.receive(now, data)    session.tick(now)    session.take_output()    session.closed    session.deadline

What arrives belongs to one reader at a time: a dialogue's line (`_answer`), a single key (`_key`), a page, or a command. What a
connection that was cut had typed of a line is forgotten; what it had ended with Return was done. Return is CR, LF, CR LF or CR NUL
(RFC 854, page 11): the second byte of a pair goes to no reader, so that it answers nothing that the line before it has asked.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from harness.virtual.ios import login, pager
from harness.virtual.ios.configure import ConfigMode
from harness.virtual.ios.editor import Editor, Typed
from harness.virtual.ios.grammar import Grammar, Match, Row, Wrong, tokens, told
from harness.virtual.ios.helping import completed, help_for
from harness.virtual.ios.pager import BadPattern, Pager
from harness.virtual.ios.state import Ask, State

CONFIRMED = ("", "y")
FILTERS = Grammar([Row(f"{name} LINE") for name in pager.FILTERS if name != "append"])
UNKNOWN = "% Unknown command or computer name, or unable to find computer address"


class Session:
    """`line` is the terminal line ("vty 0", "con 0"); `user` whom a server has authenticated already, None where the session asks.
    `source` is the address that the user comes from."""

    def __init__(self, state: State, line: str = "vty 0", *, user: str | None = None, source: str = "0.0.0.0") -> None:
        self.state = state
        self.line = line
        self.user = user
        self.source = source
        self.level = 1
        self.length, self.width = 24, 80
        self.monitor = False
        self._sized = False
        self.closed = False
        self.config: ConfigMode | None = None
        self.editor = Editor()
        self.began = state.now
        self.heard = state.now
        self._out = bytearray()
        self._pager: Pager | None = None
        self._key: Callable[[str], None] | None = None
        self._answer: Callable[[str], None] | None = None
        self._late: deque[str] = deque()
        self._prompt = ""
        self._after_cr = False

    # --- from outside ---

    def open(self, now: float) -> None:
        """The connection is there."""
        self.state.now = max(self.state.now, now)
        self.began = self.heard = self.state.now
        self.state.sessions.append(self)
        self.length = int(self._line_value("length") or self.length)
        self.editor.size = int(self._line_value("history size") or str(self.editor.size))
        login.begin(self)

    def receive(self, now: float, data: bytes) -> None:
        self.state.now = max(self.state.now, now)
        self.heard = self.state.now
        for byte in data:
            if self.closed:
                return
            self._byte(byte)
            self._out += self.editor.take_echo()

    def tick(self, now: float) -> None:
        deadline = self.deadline
        if deadline is not None and now >= deadline and not self.closed:
            self.close()

    @property
    def deadline(self) -> float | None:
        """When the line's exec-timeout ends the session; None where it has none."""
        said = self._line_value("exec-timeout")
        words = (said or "10 0").split()
        seconds = int(words[0]) * 60 + (int(words[1]) if len(words) > 1 else 0)
        return self.heard + seconds if seconds and not self.closed else None

    def take_output(self) -> bytes:
        out, self._out = bytes(self._out), bytearray()
        return out

    def window(self, columns: int, lines: int) -> None:
        """The terminal's size, where it tells one: IOS takes it, unless `terminal length` or `width` has said otherwise."""
        if lines and not self._sized:
            self.length = lines
        if columns and not self._sized:
            self.width = columns

    def size(self, *, lines: int | None = None, columns: int | None = None) -> None:
        """As the user has set it; 0 is no limit."""
        self._sized = True
        self.length = self.length if lines is None else lines
        self.width = self.width if columns is None else columns

    def notify(self, lines: Iterable[str]) -> None:
        """Lines that come by themselves; shown at once at a prompt, with the prompt and what was typed drawn again, else later."""
        if self.monitor and not self.closed:
            self._late += lines
            if self._at_prompt:
                self.write("\r\n")
                self._flush_late()
                self.write(self._prompt)
                self._out += self.editor.drawn()

    def lose(self) -> None:
        """The connection was cut."""
        self.close()

    def cut(self) -> None:
        """The router ends it, and says nothing."""
        self.closed = True

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            if self in self.state.sessions:
                self.state.sessions.remove(self)

    # --- for commands ---

    def write(self, text: str) -> None:
        self._out += text.encode("latin-1", "replace")

    def say(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line + "\r\n")

    def ask(self, question: Ask, then: Callable[[str], None]) -> None:
        """Puts a question; `then` is given the answer and must lead on."""
        self.write(question.prompt)
        if question.key:
            self._key = then
        else:
            self.editor.clear(echo=question.echo)
            self._answer = then

    def prompt(self) -> None:
        """Asks for the next command."""
        if self.closed:
            return
        self._flush_late()
        mark = self.config.prompt if self.config else "#" if self.level >= 15 else ">"
        self._prompt = f"{self.state.hostname[:20]}{mark}"
        self.editor.clear()
        self.write(self._prompt)

    def section(self) -> tuple[str, ...]:
        """The configuration's lines for this terminal line."""
        kind, _, number = self.line.partition(" ")
        for entry in self.state.configuration.tree.find(f"line {kind}"):
            first, *last = entry.words[2:]
            if int(first) <= int(number) <= int(last[0] if last else first):
                return tuple(one.line for one in entry.below)
        return ()

    def grammar(self) -> Grammar:
        return self.config.grammar if self.config else self.state.grammar(self.level)

    @property
    def ready(self) -> bool:
        """Whether there was a prompt yet."""
        return bool(self._prompt)

    # --- within ---

    @property
    def _at_prompt(self) -> bool:
        return self._pager is None and self._key is None and self._answer is None and bool(self._prompt)

    def _line_value(self, prefix: str) -> str | None:
        return next((line[len(prefix) + 1 :] for line in self.section() if line.startswith(prefix + " ")), None)

    def _flush_late(self) -> None:
        while self._late:
            self.write(self._late.popleft() + "\r\n")

    def _byte(self, byte: int) -> None:
        second, self._after_cr = self._after_cr and byte in (0x0A, 0x00), byte == 0x0D
        if second:
            return
        if self._pager is not None:
            self._more(byte)
        elif self._key is not None:
            then, self._key = self._key, None
            self.write("\r\n")
            then("" if byte in (0x0D, 0x0A) else chr(byte).lower())
        elif (typed := self.editor.feed(byte)) is not None:
            self._out += self.editor.take_echo()
            self._typed(typed)

    def _typed(self, typed: Typed) -> None:
        if self._answer is not None:
            if typed.what == "redraw" or typed.what == "tab":
                return
            then, self._answer = self._answer, None
            self.write("\r\n")
            self.editor.clear()
            if typed.what == "cancel":
                login.cancelled(self)
            else:
                then(typed.text + ("?" if typed.what == "help" else ""))
        elif typed.what == "line":
            self.write("\r\n")
            self.editor.remember(typed.text)
            self.state.typed.append(typed.text)
            self.obey(typed.text)
        elif typed.what == "help":
            self.write("?\r\n")
            rest = self.editor.text
            self.say(help_for(self.grammar(), typed.text))
            self._again(rest)
        elif typed.what == "tab":
            self._tab(typed.text)
        elif typed.what == "redraw":
            self.write("\r\n")
            self._again(self.editor.text)
        else:
            self.write("^Z\r\n" if typed.what == "end" and self.config else "\r\n")
            if self.config and typed.what == "end" and typed.text.strip():
                self.obey(typed.text, quiet=True)
            if self.config:
                self._configured()
            self.prompt()

    def _again(self, text: str) -> None:
        cursor = self.editor.cursor
        self.write(self._prompt + text + "\b" * (len(text) - cursor))

    def _tab(self, text: str) -> None:
        longer = completed(self.grammar(), text)
        self.write("\r\n" + self._prompt)
        rest = self.editor.text[len(text) :]
        self.editor.text, self.editor.cursor = (longer or text) + rest, len(longer or text)
        self._out += self.editor.drawn()

    def obey(self, text: str, *, quiet: bool = False) -> None:
        """Carries one command out. `quiet`: no prompt after it."""
        if self.config is not None:
            outcome = self.config.line(text, len(self._prompt))
            self.say(outcome.said)
            if outcome.left:
                self._configured()
            if outcome.do is not None:
                self._exec(outcome.do, len(self._prompt) + text.index(outcome.do))
                return
            if not quiet:
                self.prompt()
        else:
            self._exec(text, len(self._prompt))

    def _configured(self) -> None:
        self.config = None
        who = self.user or self.line
        self.state.log(f"%SYS-5-CONFIG_I: Configured from console by {who} on {self.line} ({self.source})")
        self.state.tell_unheeded()

    def _exec(self, text: str, column: int) -> None:
        if not text.strip() or text.lstrip().startswith("!"):
            self.prompt()
            return
        command, pipe = pager.parted(text)
        found = self.state.grammar(self.level).match(command)
        if isinstance(found, Wrong):
            self.say(self._wrong(found, text, column))
            self.prompt()
            return
        sieve: Match | None = None
        if pipe is not None:
            taken = FILTERS.match(pipe)
            if found.words[0] != "show" or isinstance(taken, Wrong):
                wrong = taken if isinstance(taken, Wrong) else Wrong("invalid")
                at = text.index("|") if found.words[0] != "show" else len(text) - len(pipe)
                self.say(told(wrong, text, column + at))
                self.prompt()
                return
            sieve = taken
        assert found.row.action is not None
        self._result(found.row.action(self, found), sieve)

    def _wrong(self, wrong: Wrong, text: str, column: int) -> list[str]:
        alone = len(tokens(text)) == 1 and wrong.what == "invalid" and self.config is None
        if alone and "transport preferred none" not in self.section():
            word = text.strip()
            if self.state.configuration.tree.has("no ip domain-lookup") or self.state.configuration.tree.has("no ip domain lookup"):
                return [f'Translating "{word}"', UNKNOWN]
            return [f'Translating "{word}"...domain server (255.255.255.255)', UNKNOWN]
        return told(wrong, text, column)

    def _result(self, result: Iterable[str] | Ask | None, sieve: Match | None = None) -> None:
        if isinstance(result, Ask):
            question = result
            self.ask(question, lambda answer: self._result(question.answered(answer)))
            return
        if result is None:  # the command has led on by itself
            return
        lines = list(result)
        if sieve is not None:
            try:
                lines = pager.filtered(lines, sieve.words[0], sieve.get("line"))
            except BadPattern as wrong:
                lines = [str(wrong)]
        self._pager = Pager(self.length, self.width, lines)
        self._page(self._pager.page())

    def _page(self, lines: list[str]) -> None:
        assert self._pager is not None
        self.say(lines)
        if self._pager.waiting:
            self.write(pager.MORE)
        else:
            self._pager = None
            self.prompt()

    def _more(self, byte: int) -> None:
        assert self._pager is not None
        self.write(pager.WIPE)
        if byte == 0x20:
            self._page(self._pager.page())
        elif byte in (0x0D, 0x0A):
            self._page(self._pager.page(1))
        else:
            self._pager = None
            self.write("\r\n" if byte == 0x03 else "")
            self.prompt()
