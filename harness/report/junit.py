"""JUnit XML is pytest's own; this sets right the one thing it says wrongly of errors that are not of the device."""

from __future__ import annotations

import os
from pathlib import Path
from xml.etree import ElementTree

WRONG = 'failed on setup with "'


def plain_errors(path: Path) -> None:
    """Take pytest's 'failed on setup with "…"' off every <error>, leaving the sentence inside. No file, nothing done.

    pytest has only these words for an error, and an inconclusive verdict is none of the set-up.
    """
    if not path.is_file():
        return
    tree = ElementTree.parse(path)
    for error in tree.iter("error"):
        message = error.get("message", "")
        if message.startswith(WRONG):
            error.set("message", message.removeprefix(WRONG).removesuffix('"'))
    fresh = path.with_name(f".{path.name}.new")
    tree.write(fresh, encoding="utf-8", xml_declaration=True)
    os.replace(fresh, path)
