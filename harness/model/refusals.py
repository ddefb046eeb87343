"""By which lines an IOS router says that it has not taken what was typed. Pure.

A line that begins with a percent sign is one, unless it is a message of the log (`%SYS-5-CONFIG_I: …`) or a note that is known to
go with a line that was taken: what nobody knows is told, not passed over. Of the lines without a percent sign, those count that
begin as refusals do.
"""

from __future__ import annotations

import re

_NOTES = (
    "No active", r"(?i:note|warning|caution)\b", "Generating ", "The key modulus ", "Key pair ", "You already have ", "They will ",
    "All RSA ", "All router certs ", "Do you ", r"This command (?:will|may)\b", r"This (?:will|may)\b", "Please wait",
    "Applying ", "Default route without gateway", r"Interface \S+ .*\bremoved\b", "IP(?:v[46])? addresses from all ",
    "Not all config may ", "Access VLAN does not exist. Creating", "Remember ",
)  # fmt: skip
"""What stands behind the percent sign of a line that refuses nothing: that there is nothing to show, notes, warnings, keys that
are made, addresses that go with a change of VRF."""
_PLAIN = (
    "Attempt to ", "Command rejected", "Command authorization failed", r"Profile \S+ is already", "Error[:, -]", "ERROR[:, -]",
    "Access denied", "Access-list type conflicts", "Bad mask", "Cannot ", "Can't ", "Can not ", "Could not ", "Unable to ",
    "Failed to ", "Invalid ", "Illegal ", "Not allowed", "Not supported",
    r"(?:Crypto-map|Pool|Profile|Dynamic mapping)\b.* in use\b",
    r"[\d.]+ overlaps with ", r"A pre-shared key for .* already exists",
)  # fmt: skip
"""How a line without one begins."""

LOG_MESSAGE = r"%[A-Z][A-Z\d_]*(?:-[A-Z\d_]+)*-[0-7]-[A-Z\d_]+: "
"""How a message of the log begins: %FACILITY-SEVERITY-MNEMONIC."""
MARKED = rf"^[ \t]*(?!{LOG_MESSAGE})%(?!%?[ \t]*(?:{'|'.join(_NOTES)}))[^\n]*"
"""A line with a percent sign that refuses."""
REFUSAL = rf"{MARKED}|^[ \t]*(?:{'|'.join(_PLAIN)})[^\n]*"
"""Either. Both for one line, or for many with re.MULTILINE."""
NOT_UNDERSTOOD = (
    r"^\s*% ?(?:Invalid|Incomplete|Ambiguous|Unknown|Unrecognized|Bad|Access denied|Authorization failed)\b.*|"
    r"^\s*Command authorization failed.*"
)
"""A line that refuses the command for itself, whatever it is about. What else a command that shows something prints, may be its
answer ("% Network not in table")."""

_MARKED, _REFUSAL = re.compile(MARKED, re.MULTILINE), re.compile(REFUSAL, re.MULTILINE)


def refusal(text: str, *, shown: bool = False) -> str:
    """The first line of what a command printed that refuses it; "" where it was taken. `shown`: the command shows something, and
    only a line with a percent sign counts, for any other may be of what it shows."""
    found = (_MARKED if shown else _REFUSAL).search(text.replace("\r", ""))
    return "" if found is None else found[0].strip()
