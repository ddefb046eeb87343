"""A lock on the device itself: two machines, or two users of one, never have it at once, whatever they share.

    /run/natstorm.lock    token, owner, pid, started, where, purpose, since, expires: a line each, seconds since the epoch by the
                          DEVICE's clock, so that nobody's clock has to agree with anybody's

It is read and written below a `flock` on /run, held for milliseconds, and replaced by rename. One machine may be several devices of
a testbed (network namespaces, VRFs): whoever holds it by a token holds it for all of them. A reboot takes it away, and its holder
takes it again.
"""

from __future__ import annotations

import os
import shlex
import socket
import uuid
from dataclasses import dataclass

from harness.devices.execute import Execute
from harness.errors import DeviceError, LabError
from harness.lab.providers.lock import LASTS_S, Holder, here, start_time, user

FILE = "/run/natstorm.lock"
HELD, MALFORMED = 9, "?"
WAIT_S = 30.0

_READ = """
folder=${file%/*}
exec 9<"$folder" && flock -w 15 9 || { echo "$folder cannot be locked"; exit 1; }
now=$(date +%s); token=; expires=0
if [ -e "$file" ]; then
    while read -r key value; do case $key in token) token=$value;; expires) expires=$value;; esac; done <"$file"
fi
"""
_TAKE = """
tell() { cat "$file"; echo "now $now"; }
if [ -e "$file" ] && [ "$token" != "$mine" ]; then
    [ "$token" = "$gone" ] || { [[ $expires =~ ^[0-9]+$ ]] && ((now >= expires)); } || { tell; exit 9; }
    tell
fi
umask 022
{ echo "token $mine"; echo "$told"; echo "since $now"; echo "expires $((now + lasts))"; } >"$file.new" && mv -f "$file.new" "$file"
"""
_LEAVE = """
[ "$token" != "$mine" ] || rm -f "$file"
"""


@dataclass(frozen=True, slots=True)
class Claim:
    """Who takes devices, for what. The same `token` takes what it has taken already. `file`: where the lock is, on each."""

    purpose: str
    token: str
    lasts_s: float = LASTS_S
    file: str = FILE

    @classmethod
    def new(cls, purpose: str) -> Claim:
        return cls(purpose, uuid.uuid4().hex)


async def take(execute: Execute, device: str, claim: Claim) -> str | None:
    """Takes the device's lock, or renews it. A sentence where another's was taken over, that was over.

    LabError where somebody else holds it, with owner, purpose and expiry; DeviceError where the device does not do it."""
    step = f"lock {device} on {device} itself"
    gone = ""
    for _ in range(3):  # who is found to be gone is told to the device, where another may have come meanwhile
        result = await execute(_script(claim, _TAKE, gone), WAIT_S)
        if result.status not in (0, HELD):
            raise DeviceError(device, f"lock {claim.file}", result.output.strip() or f"exit status {result.status}")
        if not result.output.strip():
            return None
        holder, now = _holder(device, result.output)
        if result.status == 0:
            late = now - holder.expires
            why = f"it expired {late:.0f} s ago by its clock" if late >= 0 else f"process {holder.pid} is gone"
            why = why if holder.expires else f"{claim.file} cannot be understood"
            return f"the lock on {device} itself was taken over from {holder.owner}, for {holder.purpose!r}: {why}"
        if holder.where != here() or start_time(holder.pid) == holder.started:
            break
        gone = holder.token
    left = f"it expires in {holder.expires - now:.0f} s unless it is renewed"
    seen = f"it is held by {holder.owner} (process {holder.pid}), for {holder.purpose!r}; {left}"
    cure = f"wait until it is released, or ask its owner; where no run uses the device: rm {claim.file} on it"
    raise LabError(step, seen, cure)


async def leave(execute: Execute, device: str, claim: Claim) -> None:
    """Free again, where it is still the claim's. DeviceError where the device does not do it: then it expires."""
    result = await execute(leaving(claim), WAIT_S)
    if result.status != 0:
        raise DeviceError(device, f"unlock {claim.file}", result.output.strip() or f"exit status {result.status}")


def leaving(claim: Claim) -> str:
    """What makes the device free again, where it is still the claim's."""
    return _script(claim, _LEAVE)


def _script(claim: Claim, what: str, gone: str = "") -> str:
    pid = os.getpid()
    told = {
        "owner": f"{user()}@{socket.gethostname()}",
        "pid": pid,
        "started": start_time(pid) or 0,
        "where": here(),
        "purpose": " ".join(claim.purpose.split()),
    }
    values = {
        "file": claim.file,
        "mine": claim.token,
        "gone": gone or "-",
        "lasts": f"{claim.lasts_s:.0f}",
        "told": "\n".join(f"{key} {value}" for key, value in told.items()),
    }
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items()) + _READ + what


def _holder(device: str, text: str) -> tuple[Holder, float]:
    """(who the lock file says, the device's time). What it does not say is MALFORMED, or 0."""
    found = {key: value for key, _, value in (line.partition(" ") for line in text.splitlines())}

    def number(key: str) -> int:
        value = found.get(key, "")
        return int(value) if value.isdecimal() else 0

    words = (found.get(key, MALFORMED) for key in ("owner", "where", "purpose", "token"))
    owner, where, purpose, token = words
    holder = Holder(
        device, owner, number("pid"), number("started"), where, purpose, number("since"), number("expires"), token
    )
    return holder, float(number("now"))
