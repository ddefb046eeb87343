"""`show crypto engine connections active`.

Layouts: 12.2 and 12.3 (ID, Interface, IP-Address, State, Algorithm, Encrypt, Decrypt), 12.4 (ID, Interface, Type, Algorithm,
Encrypt, Decrypt, IP-Address), 15 and IOS-XE (ID, Type, Algorithm, Encrypt, Decrypt, LastSeqN, IP-Address). The heading says
which it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.devices.ios.reading import read
from harness.devices.rows import Rows


@dataclass(frozen=True, slots=True)
class Connection:
    """One connection: an IKE SA, or one direction of IPsec. `encrypt`, `decrypt`: packets. `algorithm` as "HMAC_SHA+DES_56_CB"
    or "3DES+SHA". What the layout has no column for, or shows as <none>, is None: `state` is 12.2's ("set"), `type` ("IKE",
    "IPsec") that of 12.4 and later, `last_sequence` that of 15."""

    id: int
    algorithm: str
    encrypt: int
    decrypt: int
    interface: str | None = None
    address: str | None = None
    state: str | None = None
    type: str | None = None
    last_sequence: int | None = None


_FIELD = {
    "ID": "id", "Interface": "interface", "IP-Address": "address", "State": "state", "Type": "type", "Algorithm": "algorithm",
    "Encrypt": "encrypt", "Decrypt": "decrypt", "LastSeqN": "last_sequence",
}  # fmt: skip
_NUMBERS = {"id", "encrypt", "decrypt", "last_sequence"}
_NEEDED = {"id", "algorithm", "encrypt", "decrypt"}
_TITLE = re.compile(r"\s*(?:Crypto Engine Connections|No (?:active )?connections.*)\s*", re.IGNORECASE)


def parse_crypto_engine(text: str) -> Rows[Connection]:
    """Rows are Connection."""
    found = read(text)
    rows: list[Connection] = []
    unread: list[str] = []
    columns: list[str] = []
    for line in found.lines:
        words = line.split()
        if not words or _TITLE.fullmatch(line):
            continue
        if words[0] == "ID" and {_FIELD.get(word) for word in words} >= _NEEDED and all(word in _FIELD for word in words):
            columns = [_FIELD[word] for word in words]
        elif (row := _row(columns, words)) is not None:
            rows.append(row)
        else:
            unread.append(line)
    return found.rows(rows, unread)


def _row(columns: list[str], words: list[str]) -> Connection | None:
    """An address may be missing at the end: a connection that has none, in the layouts that have it there."""
    if columns[-1:] == ["address"] and len(words) == len(columns) - 1:
        words = [*words, "<none>"]
    if not columns or len(words) != len(columns):
        return None
    fields: dict[str, object] = {}
    for column, word in zip(columns, words, strict=True):
        if column not in _NUMBERS:
            fields[column] = None if word == "<none>" else word
        elif re.fullmatch(r"\d{1,20}", word):
            fields[column] = int(word)
        else:
            return None
    return Connection(**fields) if fields["algorithm"] is not None else None  # type: ignore[arg-type]
