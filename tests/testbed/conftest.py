"""Testbed files with one or more texts replaced."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

TESTBEDS = Path(__file__).parents[2] / "testbeds"

Edit = Callable[..., Path]


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder with the keys of the bench in a box; the environment names it, and sets nothing else of natstorm's."""
    for name in [one for one in os.environ if one.startswith("NATSTORM_")]:
        monkeypatch.delenv(name)
    folder = tmp_path / "box"
    folder.mkdir()
    (folder / "known_hosts").touch()
    (folder / "id").touch()
    monkeypatch.setenv("NATSTORM_BOX", str(folder))
    return folder


@pytest.fixture
def bench(tmp_path: Path, box: Path) -> Edit:
    """A copy of bench-in-a-box.yaml, edited: texts and what stands in their place, in pairs. Each must stand there once."""

    def edit(*pairs: tuple[str, str], of: str = "bench-in-a-box.yaml") -> Path:
        text = (TESTBEDS / of).read_text()
        for old, new in pairs:
            assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times"
            text = text.replace(old, new)
        file = tmp_path / "edited.yaml"
        file.write_text(text)
        return file

    return edit
