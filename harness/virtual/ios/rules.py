"""The lines of a configuration that do more than to replace another. Pure: (section, match, negative) → section, or Refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from harness.virtual.ios import passwords
from harness.virtual.ios.configuration import (
    HIDDEN,
    Entry,
    Refused,
    accepted,
    emptied,
    entry_of,
    negated,
    put,
    removed,
    stem,
    without,
)
from harness.virtual.ios.grammar import Match
from harness.virtual.ios.kinds import LOGICAL

NEW_MAP = (
    "% NOTE: This new crypto map will remain disabled until a peer",
    "        and a valid access list have been configured.",
)
DISABLED = ("ipsec-isakmp", "ipsec-manual")
"""What new entries are, as they are typed, that do nothing until they have a peer and a list."""
_TRANSPARENCY = "crypto ipsec nat-transparency"
UDP, SPI = f"{_TRANSPARENCY} udp-encaps", f"{_TRANSPARENCY} spi-matching"


def secret(section: Entry, match: Match, negative: bool) -> Entry:
    """`enable secret`: what is kept is never in clear."""
    if negative:
        return negated(section, match)
    hidden = passwords.hidden(match.get("line")).split()
    return accepted(section, replace(match, words=(*stem(match.row), *hidden)))


def username(section: Entry, match: Match, negative: bool) -> Entry:
    """A name has a privilege and a password; a line that gives one of them leaves the other as it was."""
    if negative:
        return without(section, f"username {match.get('name')}")
    name = match.get("name")
    privilege, proof = match.get("privilege"), _proof(match)
    if (old := section.at((f"username {name}",))) is not None:
        words = old.words
        if not privilege and words[2:3] == ("privilege",):
            privilege = words[3]
        if not proof:
            proof = words[4:] if words[2:3] == ("privilege",) else words[2:]
    words = ("username", name, *(("privilege", privilege) if privilege else ()), *proof)
    return put(section, replace(entry_of(section.mode, match), line=" ".join(words)))


def _proof(match: Match) -> tuple[str, ...]:
    if "secret" in match.values:
        return ("secret", *passwords.hidden(match.get("secret")).split())
    if "password" in match.values:
        kept = match.get("password")
        form, _, rest = kept.partition(" ")
        return ("password", *([form, rest] if form in ("0", "6", "7") and rest else ["0", kept]))
    return ("nopassword",) if match.words[-1] == "nopassword" else ()


def crypto_map(section: Entry, match: Match, negative: bool) -> Entry:
    """What an entry is was said when it was made, and cannot be changed; without a keyword it is the one that is there. A profile's
    name is there once in a set."""
    if negative:
        return negated(section, match)
    name = match.get("name")
    wanted = entry_of(section.mode, match)
    old = section.at((wanted.key,))
    form = match.words[4:]
    if not form:
        if old is not None:
            return section
        wanted = replace(wanted, line=f"{wanted.line} ipsec-isakmp")
    elif old is not None and old.words[4:] != form:
        if "dynamic" in form or "dynamic" in old.words[4:]:
            raise Refused("Attempt to change dynamic map tag for existing crypto map is not allowed.")
        raise Refused("Attempt to change the type of an existing crypto map is not allowed.")
    if profile := match.get("profile"):
        for other in section.find(f"crypto map {name}"):
            if other.key != wanted.key and other.words[4:] == ("ipsec-isakmp", "profile", profile):
                raise Refused(f"Profile {profile} is already used by entry {other.words[3]} of crypto map {name}.")
    return put(section, wanted)


# What an entry of ipsec-manual has one of: a peer, a transform set. Keys set by hand are for it alone.


def _by_hand(section: Entry) -> bool:
    return section.words[4:5] == ("ipsec-manual",)


def set_peer(section: Entry, match: Match, negative: bool) -> Entry:
    if not negative and _by_hand(section):
        section = replace(section, below=tuple(one for one in section.below if one.words[:2] != ("set", "peer")))
    return negated(section, match) if negative else accepted(section, match)


def set_transform_set(section: Entry, match: Match, negative: bool) -> Entry:
    if not negative and _by_hand(section) and len(match.values["names"]) > 1:
        raise Refused("% Only one transform set is allowed where keys are set by hand")
    return negated(section, match) if negative else accepted(section, match)


def session_key(section: Entry, match: Match, negative: bool) -> Entry:
    if not _by_hand(section):
        raise Refused("% Session keys can only be set for ipsec-manual crypto maps")
    return negated(section, match) if negative else accepted(section, match)


def interface(section: Entry, match: Match, negative: bool) -> Entry:
    name = match.get("interface")
    if negative and not name.startswith(LOGICAL):
        raise Refused("% Removal of physical interfaces is not permitted")
    return negated(section, match) if negative else accepted(section, match)


# The two exclude each other, and the default is UDP encapsulation. That it was switched off is remembered below spi-matching, and
# not shown: so the order in which the document disables both ends with both disabled, and no configuration ever shows more than
# one line.


def udp_encaps(section: Entry, match: Match, negative: bool) -> Entry:
    plain, hidden = without(section, UDP), HIDDEN + UDP
    if not negative:
        return without(without(plain, hidden), SPI)
    kept = entry_of(section.mode, match, negative=True)
    kept = replace(kept, line=f"no {UDP}", key=hidden if section.has(SPI) else UDP)
    return put(plain, kept)


def spi_matching(section: Entry, match: Match, negative: bool) -> Entry:
    off, hidden = section.at((UDP,)), section.at((HIDDEN + UDP,))
    if negative:
        back = without(without(section, SPI), HIDDEN + UDP)
        return put(back, replace(hidden, key=UDP)) if hidden is not None else back
    if off is not None:
        section = put(without(section, UDP), replace(off, key=HIDDEN + UDP))
    return put(section, entry_of(section.mode, match))


Rule = Callable[[Entry, Match, bool], Entry]
RULES: Mapping[str, Rule] = {
    "secret": secret,
    "username": username,
    "crypto-map": crypto_map,
    "interface": interface,
    "set-peer": set_peer,
    "set-transform-set": set_transform_set,
    "session-key": session_key,
    "udp-encaps": udp_encaps,
    "spi-matching": spi_matching,
}


ON_BY_DEFAULT = frozenset({"udp-encaps"})
THERE_BY_DEFAULT = frozenset({"interface", "line"})
"""The modes of what a router has without being told to: by default it is there, and nothing is set on it."""


def as_default(section: Entry, match: Match) -> Entry:
    """The section after the `default` form of a line. Refused where it does not go."""
    if match.row.enters in THERE_BY_DEFAULT:
        return emptied(section, match)
    return applied(section, match, match.row.rule not in ON_BY_DEFAULT) if match.row.rule else removed(section, match)


def applied(section: Entry, match: Match, negative: bool) -> Entry:
    """The section after a line, or after its `no` form. Refused where it does not go."""
    if match.row.rule:
        return RULES[match.row.rule](section, match, negative)
    return negated(section, match) if negative else accepted(section, match)
