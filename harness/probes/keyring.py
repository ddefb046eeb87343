"""The run's keys as the probes read them: keys.jsonl, one JSON object a line, written by the clients while the run goes on."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import CaptureError

CIPHER_BLOCK = {"aes-128": 16, "aes-192": 16, "aes-256": 16, "3des": 8, "des": 8, "null": 4}
CIPHER_KEY = {"aes-128": 16, "aes-192": 24, "aes-256": 32, "3des": 24, "des": 8, "null": 0}
HASHES = ("md5", "sha1", "sha256", "sha384", "sha512")
UNPROVED = "none"
"""The authentication of ESP that has none: RFC 2406 allows it, and so a device may grant it."""


@dataclass(frozen=True, slots=True)
class IkeKey:
    """One ISAKMP SA. `iv` is hash(g^xi | g^xr) cut to the cipher's block: the first IV (RFC 2409, appendix B)."""

    client: str
    icookie: str
    rcookie: str
    encryption: str
    hash: str
    key: bytes = field(repr=False)
    iv: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class EspKey:
    """One ESP SA in one direction. `direction` is "in" (towards the client) or "out"."""

    client: str
    spi: str
    direction: str
    encryption: str
    authentication: str
    key: bytes = field(repr=False)
    auth_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Keyring:
    """Keys by what names them on the wire: cookies, SPI. An SPI may be used twice in a run, so each maps to a tuple."""

    ike: dict[tuple[str, str], IkeKey]
    esp: dict[str, tuple[EspKey, ...]]

    def all_esp(self) -> tuple[EspKey, ...]:
        return tuple(key for keys in self.esp.values() for key in keys)


EMPTY = Keyring({}, {})


def read_keys(path: Path | str) -> Keyring:
    """Raises CaptureError with file and line for a line that is no key of the form above."""
    with open(path, encoding="ascii", errors="replace") as lines:
        return parse_keys(lines, str(path))


def parse_keys(lines: Iterable[str], where: str = "keys") -> Keyring:
    ike: dict[tuple[str, str], IkeKey] = {}
    esp: dict[str, list[EspKey]] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            kind = entry["kind"]
            if kind == "ike":
                one = _ike(entry)
                ike[one.icookie, one.rcookie] = one
            elif kind == "esp":
                sa = _esp(entry)
                known = esp.setdefault(sa.spi, [])
                if sa not in known:
                    known.append(sa)
            else:
                raise ValueError(f"kind {kind!r} is neither ike nor esp")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            what = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
            raise CaptureError(f"{where}:{number}: not a key of the run: {what}") from error
    return Keyring(ike, {spi: tuple(keys) for spi, keys in esp.items()})


def _ike(entry: dict[str, Any]) -> IkeKey:
    cipher = _cipher(entry)
    if entry["hash"] not in HASHES:
        raise ValueError(f"unknown hash {entry['hash']!r}")
    iv = bytes.fromhex(entry["iv"])
    if len(iv) != CIPHER_BLOCK[cipher]:
        raise ValueError(f"iv has {len(iv)} bytes, {cipher} takes {CIPHER_BLOCK[cipher]}")
    cookies = [_hex(entry[name], 16) for name in ("icookie", "rcookie")]
    return IkeKey(str(entry.get("client", "")), cookies[0], cookies[1], cipher, entry["hash"], _key(entry, cipher), iv)


def _esp(entry: dict[str, Any]) -> EspKey:
    cipher = _cipher(entry)
    if entry["authentication"] not in (*HASHES, UNPROVED):
        raise ValueError(f"unknown authentication {entry['authentication']!r}")
    if entry["direction"] not in ("in", "out"):
        raise ValueError(f"direction {entry['direction']!r} is neither in nor out")
    spi = _hex(entry["spi"], 8)
    auth_key = bytes.fromhex(entry["auth_key"])
    client = str(entry.get("client", ""))
    return EspKey(client, spi, entry["direction"], cipher, entry["authentication"], _key(entry, cipher), auth_key)


def _cipher(entry: dict[str, Any]) -> str:
    cipher = str(entry["encryption"])
    if cipher not in CIPHER_KEY:
        raise ValueError(f"unknown encryption {cipher!r}")
    return cipher


def _key(entry: dict[str, Any], cipher: str) -> bytes:
    key = bytes.fromhex(entry["key"])
    if len(key) != CIPHER_KEY[cipher]:
        raise ValueError(f"key has {len(key)} bytes, {cipher} takes {CIPHER_KEY[cipher]}")
    return key


def _hex(text: str, digits: int) -> str:
    if len(text) != digits or len(bytes.fromhex(text)) * 2 != digits:
        raise ValueError(f"{text!r} is not {digits} hexadecimal digits")
    return text.lower()
