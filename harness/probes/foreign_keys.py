"""Keys as Wireshark and tshark keep them, made into the run's own form with what the captures show.

`esp_sa` has eight quoted fields a line: protocol, source, destination, SPI, encryption, its key, authentication, its key.
`ikev1_decryption_table` has two: initiator's cookie, encryption key. The rest that a main mode needs is on the wire: its second
message names cipher and hash, its third and fourth hold g^xi and g^xr, whose hash is the first IV (RFC 2409, appendix B).
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import CaptureError, UsageError
from harness.model import Observation, Side
from harness.probes.keyring import CIPHER_BLOCK, Keyring, parse_keys

_ENCRYPTION = {"aes-cbc": "aes", "tripledes-cbc": "3des", "des-cbc": "des", "null": "null"}
_AUTHENTICATION = {
    "hmac-md5-96": "md5",
    "hmac-sha-1-96": "sha1",
    "hmac-sha-256-128": "sha256",
    "hmac-sha-384-192": "sha384",
    "hmac-sha-512-256": "sha512",
}
CURE = "keys.jsonl of a run, or lines of Wireshark's esp_sa or ikev1_decryption_table"


@dataclass(frozen=True, slots=True)
class EspRow:
    spi: str
    encryption: str
    authentication: str
    key: bytes = field(repr=False)
    auth_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class IkeRow:
    icookie: str
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class GivenKeys:
    """What a key file holds: the run's own lines, and those in Wireshark's form."""

    own: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    esp: tuple[EspRow, ...] = ()
    ike: tuple[IkeRow, ...] = ()

    @property
    def count(self) -> int:
        return len(self.own) + len(self.esp) + len(self.ike)


def read_given(path: Path) -> GivenKeys:
    """UsageError with file and line, and never with a key, for what is in none of the forms. Blank lines and # comments are left
    out."""
    own: list[Mapping[str, Any]] = []
    esp: list[EspRow] = []
    ike: list[IkeRow] = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", file=str(path), cure=CURE) from error
    except UnicodeDecodeError as error:
        raise UsageError("this is no text, so it holds no keys", file=str(path), cure=CURE) from error
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        try:
            if text.startswith("{"):
                parse_keys([text])
                own.append(json.loads(text))
                continue
            fields = [one.strip() for one in next(csv.reader([text], skipinitialspace=True))]
            if len(fields) == 2:
                ike.append(IkeRow(_hex(fields[0], 8, "a cookie").hex(), _hex(fields[1], None, "a key")))
            else:
                esp.append(_esp_row(fields))
        except (CaptureError, _NoKey, ValueError, KeyError, csv.Error) as error:
            raise _no_key(path, number, error) from None
    if not (own or esp or ike):
        raise UsageError("it holds no key", file=str(path), cure=CURE)
    return GivenKeys(tuple(own), tuple(esp), tuple(ike))


def _no_key(path: Path, number: int, error: Exception) -> UsageError:
    """Only words of our own: the error of a parser may quote the line, which is a secret."""
    why = str(error) if isinstance(error, _NoKey) else "not one of the forms of a key"
    return UsageError(f"no key: {why}", file=str(path), line=number, cure=CURE)


class _NoKey(Exception):
    """Its words hold nothing of the line but what names an algorithm."""


def _esp_row(fields: Sequence[str]) -> EspRow:
    if len(fields) != 8:
        raise _NoKey(f"{len(fields)} fields, where esp_sa has 8 and ikev1_decryption_table 2")
    cipher, authentication = (fields[n].partition("[")[0].strip().lower() for n in (4, 6))
    if cipher not in _ENCRYPTION:
        raise _NoKey("its encryption is none of AES-CBC, TripleDES-CBC, DES-CBC, NULL")
    if authentication not in _AUTHENTICATION:
        raise _NoKey("its authentication is none of HMAC-MD5-96, HMAC-SHA-1-96, HMAC-SHA-256-128, -384-192, -512-256")
    if "*" in fields[3]:
        raise _NoKey("an SPI with a wild card names no SA")
    key = _hex(fields[5], None, "a key")
    name = _ENCRYPTION[cipher]
    name = f"aes-{len(key) * 8}" if name == "aes" else name
    if name not in CIPHER_BLOCK:
        raise _NoKey(f"an AES key of {len(key)} bytes")
    return EspRow(_hex(fields[3], 4, "an SPI").hex(), name, _AUTHENTICATION[authentication], key, _hex(fields[7], None, "a key"))


def _hex(text: str, size: int | None, what: str) -> bytes:
    digits = text.removeprefix("0x").removeprefix("0X")
    try:
        value = bytes.fromhex(digits.zfill(size * 2) if size else digits)
    except ValueError:
        raise _NoKey(f"{what} is not in hexadecimal") from None
    if size is not None and len(value) != size:
        raise _NoKey(f"{what} has {len(value)} bytes, not {size}")
    return value


@dataclass(frozen=True, slots=True)
class Fitted:
    """`lines` in the form of the run's keys.jsonl; `used` of the `given` keys belong to an SA of the captures; `unfit` says of the
    others that could not be used why."""

    lines: tuple[str, ...] = field(repr=False)
    given: int
    used: int
    unfit: tuple[str, ...] = ()

    def keyring(self) -> Keyring:
        return parse_keys(self.lines)


def fitted(given: GivenKeys, observations: Mapping[Side, Sequence[Observation]], gateway: str, names: Mapping[str, str]) -> Fitted:
    """The keys that belong to the captures, each with its client's name. `observations` may be undecrypted; `names` has the
    clients' names by inside address (of a side that does not show those, by whatever address it shows)."""
    frames = [o for found in observations.values() for o in found]
    owners = _owners(observations, gateway, names)
    lines = [dict(line) for line in given.own if _name(line) in owners]
    used, unfit = len(lines), []
    for row in given.esp:
        own = next((o for o in frames if o.esp is not None and o.esp["spi"] == row.spi), None)
        if own is not None:
            used += 1
            line = {"kind": "esp", "spi": row.spi, "direction": "out" if own.dst == gateway else "in"}
            line |= {"encryption": row.encryption, "authentication": row.authentication}
            lines.append(line | {"key": row.key.hex(), "auth_key": row.auth_key.hex()})
    for ike in given.ike:
        exchange = [o for o in frames if o.ike is not None and o.ike["icookie"] == ike.icookie]
        if not exchange:
            continue
        used += 1
        why, line = _main_mode(ike, exchange)
        if why is None:
            lines.append(line)
        else:
            unfit.append(f"the main mode {ike.icookie} cannot be opened: {why}")
    told = [json.dumps(line | {"client": owners.get(_name(line), line.get("client", ""))}) for line in lines]
    return Fitted(tuple(told), given.count, used, tuple(unfit))


def _name(line: Mapping[str, Any]) -> str:
    return str(line["icookie"] if line["kind"] == "ike" else line["spi"]).lower()


def _owners(observations: Mapping[Side, Sequence[Observation]], gateway: str, names: Mapping[str, str]) -> dict[str, str]:
    """Initiator's cookie or SPI → the client's name, "" where its address has none; only of what is in the captures."""
    found: dict[str, str] = {}
    for side in sorted(observations, key=lambda s: s is not Side.INSIDE):
        for o in observations[side]:
            name = o.ike["icookie"] if o.ike is not None else o.esp["spi"] if o.esp is not None else None
            if name is not None:
                client = names.get(o.src if o.dst == gateway else o.dst, "")
                found[name] = found.get(name) or client
    return found


def _main_mode(row: IkeRow, exchange: Iterable[Observation]) -> tuple[str | None, dict[str, Any]]:
    """(why not, or None; the line)."""
    first: dict[str, Mapping[str, Any]] = {}
    for o in exchange:
        assert o.ike is not None
        first.setdefault(str(o.ike["message"]), o.ike)
    missing = [name for name in ("MM2", "MM3", "MM4") if name not in first]
    if missing:
        return f"its {' and '.join(missing)}, which the first IV depends on, is not in the captures", {}
    chosen: Mapping[str, Any] = next(iter(first["MM2"]["proposals"]), {})
    public = [bytes.fromhex(str(first[name].get("key_exchange", ""))) for name in ("MM3", "MM4")]
    cipher, hashed = str(chosen.get("encryption", "")), str(chosen.get("hash", ""))
    if cipher == "aes":
        cipher = f"aes-{len(row.key) * 8}"
    if cipher not in CIPHER_BLOCK or hashed not in _AUTHENTICATION.values() or not all(public):
        return f"it agreed {cipher or 'no cipher'} and {hashed or 'no hash'}, or its key exchange cannot be read", {}
    iv = hashlib.new(hashed, b"".join(public), usedforsecurity=False).digest()[: CIPHER_BLOCK[cipher]]
    line = {"kind": "ike", "icookie": row.icookie, "rcookie": str(first["MM2"]["rcookie"]), "encryption": cipher, "hash": hashed}
    line |= {"key": row.key.hex(), "iv": iv.hex()}
    try:
        parse_keys([json.dumps(line)])
    except CaptureError:
        return f"its key has {len(row.key)} bytes, which {cipher} does not take", {}
    return None, line
