"""What the crypto map commands do to a configuration: pure, from the old value to the new one.

UsageError says, much as the router does, why a command is refused; `remarks` says what the router lets pass with a warning, or what
a person ought to be told. Nothing here knows of a command line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

from harness.errors import UsageError
from harness.model import Secret
from harness.model.predictable_spi import RESERVED
from harness.virtual.crypto_map import (
    CryptoMap,
    DynamicReference,
    IsakmpEntry,
    ManualEntry,
    MapEntry,
    Policy,
    SessionKey,
    TransformSet,
    access_list,
    missing,
    places,
)
from harness.wire.crypto.digest import INTEGRITY
from harness.wire.esp import AUTHENTICATIONS, ENCRYPTIONS

MAX_TRANSFORM_SETS = 6
MAX_SEQUENCE = 65535
NEW = "% NOTE: This new crypto map will remain disabled until a peer\n        and a valid access list have been configured."
TYPES = {IsakmpEntry: "ipsec-isakmp", ManualEntry: "ipsec-manual", DynamicReference: "ipsec-isakmp dynamic"}

_TRANSFORMS = {
    "esp-des": ("encryption", "des"),
    "esp-3des": ("encryption", "3des"),
    "esp-aes": ("encryption", "aes-128"),
    "esp-aes 128": ("encryption", "aes-128"),
    "esp-aes 192": ("encryption", "aes-192"),
    "esp-aes 256": ("encryption", "aes-256"),
    "esp-null": ("encryption", "null"),
    "esp-md5-hmac": ("authentication", "md5"),
    "esp-sha-hmac": ("authentication", "sha1"),
    "esp-sha256-hmac": ("authentication", "sha256"),
    "ah-md5-hmac": ("ah", "md5"),
    "ah-sha-hmac": ("ah", "sha1"),
    "ah-sha256-hmac": ("ah", "sha256"),
}


def transform_set(name: str, words: Sequence[str], mode: Literal["tunnel", "transport"] = "tunnel") -> TransformSet:
    """`crypto ipsec transform-set NAME WORDS`; at most one cipher, one ESP authentication and one of AH."""
    rest = list(words)
    found: dict[str, str] = {}
    while rest:
        word = rest.pop(0)
        if rest and rest[0].isdigit():
            word = f"{word} {rest.pop(0)}"
        if word not in _TRANSFORMS:
            raise UsageError(f"% Invalid transform {word}", cure="one of: " + ", ".join(_TRANSFORMS))
        kind, value = _TRANSFORMS[word]
        if kind in found:
            raise UsageError(f"% Transform set {name} has two transforms for {kind}")
        found[kind] = value
    if not found:
        raise UsageError(f"% Transform set {name} has no transform")
    if "authentication" in found and "encryption" not in found:
        found["encryption"] = "null"  # as IOS takes ESP with authentication alone
    return TransformSet(name, tuple(words), **found, mode=mode)


def enter(
    crypto_map: CryptoMap,
    sequence: int,
    kind: Literal["ipsec-isakmp", "ipsec-manual"] | None = None,
    *,
    dynamic: str | None = None,
    discover: bool = False,
) -> tuple[CryptoMap, tuple[str, ...]]:
    """`crypto map NAME SEQUENCE [ipsec-manual | ipsec-isakmp [dynamic NAME] [discover]]`: the set with that entry in it, and what
    the router says. Without a keyword the entry has to be there. What an entry is cannot be changed."""
    if not 0 < sequence <= MAX_SEQUENCE:
        raise UsageError(f"% Invalid sequence number {sequence}", cure=f"1 to {MAX_SEQUENCE}")
    known = crypto_map.entry(sequence)
    if kind is None:
        if known is None:
            raise UsageError(f"% Crypto map {crypto_map.name} {sequence} does not exist", cure="name ipsec-isakmp or ipsec-manual")
        return crypto_map, ()
    if discover and dynamic is None:
        raise UsageError("% discover is for a dynamic crypto map", cure="dynamic NAME discover")
    wanted: MapEntry = ManualEntry(sequence) if kind == "ipsec-manual" else IsakmpEntry(sequence)
    if dynamic is not None:
        if kind == "ipsec-manual":
            raise UsageError("% A dynamic crypto map needs IKE", cure="ipsec-isakmp dynamic NAME")
        wanted = DynamicReference(sequence, dynamic, discover)
    if known is not None:
        if type(known) is not type(wanted) or (isinstance(known, DynamicReference) and known != wanted):
            was, now = TYPES[type(known)], TYPES[type(wanted)]
            raise UsageError(
                f"% Attempt to change crypto map {crypto_map.name} {sequence} from {was} to {now} is denied",
                cure=f"no crypto map {crypto_map.name} {sequence}, then enter it anew",
            )
        return crypto_map, ()
    return put(crypto_map, wanted), () if dynamic is not None else (NEW,)


def put(crypto_map: CryptoMap, entry: MapEntry) -> CryptoMap:
    """The set with this entry in the place of the one of its number, if any."""
    others = [one for one in crypto_map.entries if one.sequence != entry.sequence]
    return replace(crypto_map, entries=tuple(sorted((*others, entry), key=lambda one: one.sequence)))


def remove(crypto_map: CryptoMap, sequence: int) -> CryptoMap:
    """`no crypto map NAME SEQUENCE`."""
    if crypto_map.entry(sequence) is None:
        raise UsageError(f"% Crypto map {crypto_map.name} {sequence} does not exist")
    return replace(crypto_map, entries=tuple(one for one in crypto_map.entries if one.sequence != sequence))


def set_transform_sets(policy: Policy, entry: IsakmpEntry | ManualEntry, names: Sequence[str]) -> IsakmpEntry | ManualEntry:
    """`set transform-set`: up to six of them, one for keys by hand; each has to be there already."""
    limit = 1 if isinstance(entry, ManualEntry) else MAX_TRANSFORM_SETS
    if not 0 < len(names) <= limit:
        raise UsageError(f"% {len(names)} transform sets, where an entry of {TYPES[type(entry)]} takes 1 to {limit}")
    unknown = [name for name in names if name not in policy.transform_sets]
    if unknown:
        raise UsageError(f"% Transform set {unknown[0]} does not exist", cure="crypto ipsec transform-set first")
    return replace(entry, transform_sets=tuple(names))


def add_peer(entry: IsakmpEntry | ManualEntry, peer: str) -> IsakmpEntry | ManualEntry:
    """`set peer`: another one behind those that are there; the only one where keys are set by hand."""
    if isinstance(entry, ManualEntry):
        return replace(entry, peers=(peer,))
    return replace(entry, peers=(*(one for one in entry.peers if one != peer), peer))


def add_key(entry: MapEntry, key: SessionKey) -> ManualEntry:
    """`set session-key`: takes the place of the one of its direction and protocol."""
    if not isinstance(entry, ManualEntry):
        raise UsageError("% Session keys can only be set for ipsec-manual crypto maps")
    if not RESERVED <= key.spi <= 0xFFFFFFFF:
        raise UsageError(f"% Invalid SPI {key.spi}", cure=f"{RESERVED} to {0xFFFFFFFF}")
    others = (one for one in entry.keys if (one.direction, one.protocol) != (key.direction, key.protocol))
    return replace(entry, keys=(*others, key))


def key_octets(key: SessionKey, row: TransformSet) -> tuple[bytes, bytes]:
    """(cipher key, authentication key) as the algorithms take them; UsageError, without the key, for what is no hexadecimal number
    or too short."""
    if key.protocol == "ah":
        return b"", _octets(key, key.authenticator or key.cipher, INTEGRITY[row.ah].key_size, "authentication")
    authentication = AUTHENTICATIONS[row.authentication or "none"].key
    cipher = _octets(key, key.cipher, ENCRYPTIONS[row.encryption].key, "cipher")
    return cipher, _octets(key, key.authenticator, authentication, "authenticator")


def _octets(key: SessionKey, secret: Secret | None, size: int, what: str) -> bytes:
    if size == 0:
        return b""
    where = f"{key.direction} {key.protocol} {key.spi}"
    if secret is None:
        raise UsageError(f"% session-key {where} has no {what} key")
    text = secret.reveal()
    try:
        octets = bytes.fromhex(text if len(text) % 2 == 0 else text[:-1])
    except ValueError:
        raise UsageError(f"% The {what} key of session-key {where} is not hexadecimal") from None
    if len(octets) < size:
        raise UsageError(f"% The {what} key of session-key {where} is too short", cure=f"at least {2 * size} digits")
    return octets[:size]


def remarks(policy: Policy) -> tuple[str, ...]:
    """What is amiss with the set on the interface though no command was refused."""
    return tuple(_remarks(policy))


def _remarks(policy: Policy) -> Iterator[str]:
    if policy.crypto_map is None:
        return
    entries = policy.crypto_map.entries
    name = policy.crypto_map.name
    for number, entry in enumerate(entries):
        if not isinstance(entry, DynamicReference):
            continue
        if entry.dynamic_map not in policy.dynamic_maps:
            yield f"crypto map {name} {entry.sequence} names dynamic crypto map {entry.dynamic_map}, which does not exist"
        hidden = [str(one.sequence) for one in entries[number + 1 :] if not isinstance(one, DynamicReference)]
        if hidden:
            yield (
                f"crypto map {name} {entry.sequence} is dynamic and stands before {', '.join(hidden)}: what it matches never"
                " reaches them; give it the highest sequence number"
            )
    for place in places(policy):
        lack = missing(policy, place)
        if lack is not None:
            yield f"crypto map {place.name} is disabled: it lacks {lack}"
        if isinstance(place.entry, ManualEntry):
            yield from _manual_remarks(policy, place.name, place.entry)
        for row in (policy.transform_sets[one] for one in place.entry.transform_sets if one in policy.transform_sets):
            if row.encryption and not row.authentication and not row.ah:
                yield f"crypto map {place.name}: transform set {row.name} encrypts without authentication"
            if row.encryption and row.ah and isinstance(place.entry, IsakmpEntry):
                yield f"crypto map {place.name}: transform set {row.name} puts ESP in AH, which is not negotiated here"


def _manual_remarks(policy: Policy, name: str, entry: ManualEntry) -> Iterator[str]:
    permits = [one for one in access_list(policy, entry.match or "").entries if one.action == "permit"]
    if len(permits) > 1:
        yield f"crypto map {name}: keys by hand serve one permit, the first of the {len(permits)} of access list {entry.match}"
