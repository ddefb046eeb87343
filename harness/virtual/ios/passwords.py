"""How IOS keeps passwords: 0 is clear, 5 salted MD5, 7 the reversible form of `service password-encryption`. Pure."""

from __future__ import annotations

import hashlib
import hmac

_ALPHABET = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SEVEN = b"dsfd;kfoA,.iyewrkldJKDHSUBsgvca69834ncxv9873254k;fg87"
"""With which type 7 is masked, from the offset in its first two digits on."""


def matches(kept: str, typed: str) -> bool:
    """`kept` as the configuration has it: "5 $1$…", "7 0822…", "0 cisco" or "cisco". Nothing matches a hash that is none."""
    form, _, rest = kept.partition(" ")
    if form == "5" and rest.startswith("$1$"):
        return hmac.compare_digest(md5_crypt(typed, rest.split("$")[2]).encode(), rest.strip().encode())
    known = clear(kept)
    return known is not None and hmac.compare_digest(known.encode(), typed.encode())


def clear(kept: str) -> str | None:
    """The password of a kept one that can be read; None of type 5."""
    form, _, rest = kept.partition(" ")
    if form == "5" and rest:
        return None
    if form == "7" and rest:
        return _unmasked(rest)
    return rest if form in ("0", "6") and rest else kept


def hidden(secret: str) -> str:
    """A secret as `enable secret` keeps it: "5 $1$…", whether it was typed in clear or hidden already. The salt comes from the
    secret itself, so that the same lines always give the same configuration."""
    form, _, rest = secret.partition(" ")
    if form == "5" and rest:
        return secret
    plain = rest if form == "0" and rest else secret
    digest = hashlib.sha256(plain.encode()).digest()
    salt = "".join(_ALPHABET[byte % 64] for byte in digest[:4])
    return f"5 {md5_crypt(plain, salt)}"


def _unmasked(text: str) -> str | None:
    try:
        offset, masked = int(text[:2]), bytes.fromhex(text[2:])
    except ValueError:
        return None
    return bytes(byte ^ _SEVEN[(offset + n) % len(_SEVEN)] for n, byte in enumerate(masked)).decode("latin-1")


def md5_crypt(password: str, salt: str) -> str:
    """The crypt(3) of "$1$": 1000 rounds of MD5, after the algorithm of FreeBSD's libcrypt."""
    key, grain = password.encode(), salt[:8].encode()
    inner = hashlib.md5(key + grain + key).digest()
    start = key + b"$1$" + grain
    start += (inner * (len(key) // 16 + 1))[: len(key)]
    bits = len(key)
    while bits:
        start += b"\0" if bits & 1 else key[:1]
        bits >>= 1
    digest = hashlib.md5(start).digest()
    for turn in range(1000):
        text = key if turn & 1 else digest
        if turn % 3:
            text += grain
        if turn % 7:
            text += key
        text += digest if turn & 1 else key
        digest = hashlib.md5(text).digest()
    groups = ((0, 6, 12), (1, 7, 13), (2, 8, 14), (3, 9, 15), (4, 10, 5))
    out = "".join(_letters(digest[a] << 16 | digest[b] << 8 | digest[c], 4) for a, b, c in groups)
    return f"$1${salt[:8]}${out}{_letters(digest[11], 2)}"


def _letters(value: int, count: int) -> str:
    return "".join(_ALPHABET[value >> 6 * n & 63] for n in range(count))
