"""What the loader says of a testbed's file in which something has been written otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from harness.errors import UsageError
from harness.model.testbed import Testbed
from harness.testbed.load import check


def said_of(testbed: Testbed, instead: Mapping[str, str]) -> str:
    """Of its file with these words in the place of those; "" where it is taken."""
    text = Path(testbed.file).read_text(encoding="utf-8")
    for old, new in instead.items():
        text = text.replace(old, new)
    with TemporaryDirectory(prefix="natstorm-") as folder:
        file = Path(folder) / "testbed.yaml"
        file.write_text(text, encoding="utf-8")
        try:
            check(file)
        except UsageError as error:
            return str(error).replace(f"{folder}/", "")
    return ""
