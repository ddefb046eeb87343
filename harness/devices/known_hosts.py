"""A known_hosts file (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT) line by line: what it has for one name. Pure.

Whatever a line holds, it hinders no other. Keys are compared as they stand there, octet by octet; none is loaded.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass

REVOKED, AUTHORITY = b"@revoked", b"@cert-authority"


@dataclass(frozen=True, slots=True)
class Key:
    """A public key by its type, as ssh-ed25519, and as it goes over the wire (RFC 4253, section 6.6)."""

    kind: str
    blob: bytes

    @property
    def fingerprint(self) -> str:
        """`ssh-ed25519 SHA256:…`, as `ssh-keygen -l` shows it."""
        return f"{self.kind} SHA256:{base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip('=')}"


@dataclass(frozen=True, slots=True)
class Known:
    """`keys` are the name's own, in the order of the file; `revoked` those that nobody may show under that name. `strange` are the
    numbers of all lines that cannot be understood."""

    keys: tuple[Key, ...] = ()
    revoked: tuple[Key, ...] = ()
    strange: tuple[int, ...] = ()


def read(content: bytes, name: str) -> Known:
    """What the file has for `name`, which is a host or `[host]:port`. Authorities are none of it: they vouch for certificates,
    which no device is asked for."""
    keys: list[Key] = []
    revoked: list[Key] = []
    strange: list[int] = []
    for number, line in enumerate(content.split(b"\n"), 1):
        fields = line.split()
        if not fields or fields[0].startswith(b"#"):
            continue
        marker = fields.pop(0) if fields[0].startswith(b"@") else b""
        if len(fields) < 3 or marker not in (b"", REVOKED, AUTHORITY) or (key := _key(fields[1], fields[2])) is None:
            strange.append(number)
        elif marker != AUTHORITY and _names(fields[0].decode("latin-1"), name):
            (revoked if marker else keys).append(key)
    return Known(tuple(dict.fromkeys(keys)), tuple(revoked), tuple(strange))


def _key(kind: bytes, encoded: bytes) -> Key | None:
    """None where the two are no key: a key is strings with their lengths before them, of which the first is its type."""
    try:
        blob = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        return None
    parts: list[bytes] = []
    at = 0
    while at < len(blob):
        end = at + 4 + int.from_bytes(blob[at : at + 4], "big")
        if end > len(blob):
            return None
        parts.append(blob[at + 4 : end])
        at = end
    return Key(kind.decode("latin-1"), blob) if len(parts) > 1 and parts[0] == kind else None


def _names(patterns: str, name: str) -> bool:
    """Whether one of the patterns is that name, and none that begins with `!` is."""
    found = [(pattern.startswith("!"), _is(pattern.removeprefix("!"), name)) for pattern in patterns.split(",")]
    return any(fits for _, fits in found) and not any(fits for against, fits in found if against)


def _is(pattern: str, name: str) -> bool:
    if pattern.startswith("|1|"):
        return _hashed(pattern, name)
    parts = {"*": ".*", "?": "."}
    wanted = "".join(parts.get(one, re.escape(one)) for one in pattern.lower())
    return re.fullmatch(wanted, name.lower(), re.DOTALL) is not None


def _hashed(pattern: str, name: str) -> bool:
    """`|1|SALT|HASH`, both in base64: HMAC-SHA1 of the name."""
    try:
        salt, digest = (base64.b64decode(one, validate=True) for one in pattern.removeprefix("|1|").split("|"))
    except ValueError:  # which binascii.Error is
        return False
    return hmac.compare_digest(hmac.digest(salt, name.encode(), "sha1"), digest)
