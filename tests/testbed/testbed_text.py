"""Where something stands in a testbed file."""

import re
from pathlib import Path

TESTBEDS = Path(__file__).parents[2] / "testbeds"


def line_of(file: Path, text: str) -> int:
    """The number of the only line that holds `text`."""
    (line,) = (number for number, one in enumerate(file.read_text().splitlines(), 1) if text in one)
    return line


def variables(file: Path) -> set[str]:
    """The environment variables that a testbed's values take."""
    lines = (line for line in file.read_text().splitlines() if not line.lstrip().startswith("#"))
    return {name for line in lines for name in re.findall(r"%ENV\{(\w+)\}", line)}
