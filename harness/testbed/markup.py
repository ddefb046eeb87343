"""pyATS's markup in a testbed's values: %ENV{NAME}, %ASK{prompt} and %ENC{text}.

%ENV is replaced wherever it stands, as pyATS does it, save that an unset variable is a mistake and not an empty text. %ASK and %ENC
are for secrets alone, and are the whole value. Any other markup of pyATS's (%INCLUDE, %CALLABLE, references) is a mistake: it would
mean one thing here and another there.
"""

from __future__ import annotations

import getpass
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from harness.errors import UsageError
from harness.model.secret import Secret
from harness.testbed.mistakes import Mistakes

_OPENING = re.compile(r"%([A-Za-z_]*)\{")
_ENV = re.compile(r"%ENV\{([^}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OLD = re.compile(r"(ASK|ENC)\(.*\)")
_PREFIX = re.compile(r"(.*?)\s*,\s*prefix\s*=\s*(\w+)\s*")

ENVIRONMENT_PATTERN = r"%ENV\{[A-Za-z_][A-Za-z0-9_]*\}"
"""For the editors' schema: a value of which a part comes from the environment."""
SECRET_PATTERN = r"^%(ASK|ENC)\{([^{}]*)\}$"
"""For the schema and for us: a value that does not stand in the file."""
_WHOLE = re.compile(SECRET_PATTERN)


@dataclass(frozen=True, slots=True)
class Hidden:
    """A value that does not stand in the file: `kind` is "ASK" or "ENC", `text` what stands between the braces."""

    kind: str
    text: str

    def __repr__(self) -> str:
        return f"%{self.kind}{{…}}"


class Environment:
    """%ENV{} replaced in one file. A variable that is not set is one mistake, however often it is named."""

    def __init__(self, mistakes: Mistakes, variables: Mapping[str, str] | None = None) -> None:
        self._mistakes = mistakes
        self._variables = os.environ if variables is None else variables
        self._unset: dict[str, list[int]] = {}

    def expand(self, text: str, line: int) -> str | Hidden | None:
        """What the text means. None where it means nothing, which is a mistake by then (an unset variable: at `finish`)."""
        if whole := _WHOLE.fullmatch(text):
            return Hidden(whole[1], whole[2].strip())
        if old := _OLD.fullmatch(text):
            self._mistakes.add(f"{old[1]}(…) is an old form of pyATS's", line, f'"%{old[1]}{{…}}", in quotes')
            return None
        strange = [found[0] for found in _OPENING.finditer(text) if found[1] != "ENV"]
        if strange:
            self._mistakes.add(f"pyATS takes {strange[0]} for markup, which is not understood here", line, _cure(strange[0]))
            return None
        if len(_OPENING.findall(text)) != len(_ENV.findall(text)):
            self._mistakes.add("%ENV{ is not closed", line, 'as in "%ENV{NAME}"')
            return None
        names = _ENV.findall(text)
        for name in names:
            if not _NAME.fullmatch(name):
                self._mistakes.add(f"%ENV{{{name}}} names no variable", line, "%ENV{NAME}: pyATS takes no default there")
                return None
        unset = [name for name in names if name not in self._variables]
        for name in unset:
            self._unset.setdefault(name, []).append(line)
        if unset:
            return None
        for name in names:
            self._mistakes.hide(name, self._variables[name])
        return _ENV.sub(lambda found: self._variables[found[1]], text)

    def finish(self) -> None:
        """Adds the mistakes of the whole file: the variables that are not set."""
        for name, (line, *others) in self._unset.items():
            also = sorted(set(others) - {line})
            places = f" (line{'s' if len(also) > 1 else ''} {', '.join(map(str, also))} too)" if also else ""
            self._mistakes.add(f"the environment variable {name} is not set{places}", line, f"export {name}=…")


def _cure(opening: str) -> str:
    if opening in ("%ASK{", "%ENC{"):
        return f'{opening}…}} is the whole of a value, in quotes: "{opening}…}}"'
    return "write the value itself, or %ENV{NAME} and the value into that variable"


@dataclass(frozen=True, slots=True)
class Asked(Secret):
    """A secret that is asked for at the terminal when it is first needed, and then known to this process.

    `reveal()` raises UsageError where there is no terminal."""

    _text: str = field(repr=False, default="")
    prompt: str = ""
    file: str = ""
    line: int | None = None

    def reveal(self) -> str:
        key = (self.file, self.prompt)
        if key not in _ANSWERS:
            _ANSWERS[key] = _ask(self)
        return _ANSWERS[key]

    __repr__ = __str__ = Secret.__repr__


_ANSWERS: dict[tuple[str, str], str] = {}
"""What was typed in this process: the same prompt of the same file is asked for once."""


def _ask(wanted: Asked) -> str:
    problem = f"the secret {wanted.prompt!r} cannot be asked for: "
    cure = "start it at a terminal, or write %ENV{NAME} there and the secret into that variable"
    # without a terminal getpass would read from stdin, with echo
    if not _has_terminal():
        raise UsageError(problem + "there is no terminal", file=wanted.file, line=wanted.line, cure=cure)
    try:
        typed = getpass.getpass(f"{wanted.prompt} ({wanted.file}): ")
    except EOFError as error:
        raise UsageError(problem + "the terminal has ended", file=wanted.file, line=wanted.line, cure=cure) from error
    if not typed:
        raise UsageError(problem + "nothing was typed", file=wanted.file, line=wanted.line, cure="start again, and type it")
    return typed


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def settled(secret: Secret) -> Secret:
    """The secret with its text, asked for now where it has to be."""
    return Secret(secret.reveal()) if isinstance(secret, Asked) else secret


def decoded(text: str, to_plaintext: Callable[[str, str], str] | None = None) -> str:
    """What %ENC{text} stands for, by pyATS's own decoder and with its configured key. Raises ValueError in words that do not tell
    the secret; `to_plaintext` takes the text and the prefix of its settings in pyats.conf."""
    with_prefix = _PREFIX.fullmatch(text)
    coded, prefix = (with_prefix[1], with_prefix[2]) if with_prefix else (text, "string")
    try:
        plain = (to_plaintext or _by_pyats)(coded, prefix)
    except ImportError:
        raise ValueError("pyATS, which decodes it, is not installed") from None
    except Exception as error:  # pyATS raises Exception itself, and whatever its decoders raise
        raise ValueError(f"pyATS cannot decode it ({type(error).__name__})") from None
    if not plain:
        raise ValueError("pyATS decodes it to an empty text")
    return plain


def _by_pyats(coded: str, prefix: str) -> str:
    """Costs a quarter of a second, and only files with %ENC{} pay it."""
    from pyats.utils.secret_strings import SecretString, to_plaintext

    return str(to_plaintext(SecretString(coded, prefix=prefix)))
