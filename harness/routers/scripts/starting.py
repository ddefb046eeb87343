"""What a router of a laboratory begins with, where a script wants it without some of its lines."""

from __future__ import annotations

from pathlib import Path

CONFIGURATIONS = Path(__file__).parents[1] / "configurations"


def without(file: str, *less: str) -> tuple[str, ...]:
    """The lines of a configuration file, save those that begin with one of `less`, and what stands below these."""
    kept: list[str] = []
    dropped: int | None = None  # how far the section that is left out is indented
    for line in (CONFIGURATIONS / file).read_text(encoding="utf-8").splitlines():
        indent = len(line) - len(line.lstrip())
        if dropped is not None and indent > dropped:
            continue
        dropped = indent if line.strip().startswith(less) else None
        if dropped is None:
            kept.append(line)
    return tuple(kept)
