"""A lock on a router itself: two machines never have it at once, whatever they share. It is a line of the running configuration
(devices.ios.lock_line), for a router has no file that its command line could write below a lock.

Whoever wants the router reads; where nobody has it, writes a line of its own, and has it once it has read, AFTER that, that no
other claim stands there. Of two that do so at the same moment at least one sees the other: the one with the higher token withdraws,
for which the lower one waits. So in no order of their lines do both become holders, and no delay decides it.

Claims are over by UTC, as the machines tell it that have them: a router's own clock may never have been set.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import time
from collections.abc import Awaitable, Callable

from harness.devices.ios.driver import Ios
from harness.devices.ios.lock_line import TOKEN, LockLine, found, removal, utc
from harness.devices.journal import Undo, reached
from harness.errors import LabError
from harness.lab.providers.device_lock import Claim
from harness.lab.providers.lock import here, start_time, user

LOOKS, BETWEEN_S = 10, 1.0
"""How often the lower of two that came at once looks whether the other has withdrawn, which takes that one a line."""

Clock = Callable[[], float]
Pause = Callable[[float], Awaitable[None]]


async def take(router: Ios, claim: Claim, *, clock: Clock = time.time, pause: Pause = asyncio.sleep) -> str | None:
    """Takes it. A sentence where claims were taken over that were over. LabError where somebody else holds it, with owner, purpose
    and expiry; DeviceError where the router does not do it."""
    _, others = _told(await router.running_config(), claim, clock())
    if others:
        raise _held(router, others[0])
    await router.type([_own(claim, clock()).typed()])
    dead = await _alone(router, claim, clock, pause)
    if not dead:
        return None
    await router.type([one.removal() for one, _ in dead])
    said = "; ".join(f"{one}: {why}" for one, why in dead)
    return f"the lock on {router.name} itself was taken over from {said}"


async def renew(router: Ios, claim: Claim, *, clock: Clock = time.time, pause: Pause = asyncio.sleep) -> None:
    """It lasts from now on. LabError where it was lost meanwhile: its line is gone, or somebody has it as well."""
    name = _token(claim)
    if all(one.token != name for one in found(await router.running_config())):
        seen = "its line is gone from the running configuration: somebody has taken it over, or the router was started anew"
        raise LabError(f"keep the lock on {router.name} itself", seen, "stop, and begin anew")
    await router.type([_own(claim, clock()).typed()])
    await _alone(router, claim, clock, pause, renewing=True)


async def leave(router: Ios, claim: Claim) -> None:
    """Free again, where it is still the claim's. DeviceError where the router does not do it: then it expires."""
    if any(one.token == _token(claim) for one in found(await router.running_config())):
        await router.type([removal(_token(claim))])


def leaving(router: Ios, claim: Claim) -> Undo:
    """What makes it free again, for the journal."""
    line = removal(_token(claim))
    what = (f"release the lock of this run ({line})",)
    return Undo(what, "ios", router.name, reached(router.connection), by_hand=f"{line}\nend\n", harmless=True)


async def _alone(
    router: Ios, claim: Claim, clock: Clock, pause: Pause, *, renewing: bool = False
) -> tuple[tuple[LockLine, str], ...]:
    """Returns, with the claims that are over, once no other stands beside ours; else ours goes, and LabError says whose is there.
    Who holds it already withdraws for nobody who has just come, and sees whether that one does."""
    name = _token(claim)
    for look in range(LOOKS):
        dead, others = _told(await router.running_config(), claim, clock())
        if not others:
            return dead
        if look + 1 == LOOKS or (not renewing and others[0].token < name):
            break
        await pause(BETWEEN_S)
    await leave(router, claim)
    raise _held(router, others[0])


def _told(config: str, claim: Claim, now: float) -> tuple[tuple[tuple[LockLine, str], ...], tuple[LockLine, ...]]:
    """Of others' claims, (those that are over, each with why; those that count)."""
    others = [(one, _over(one, now)) for one in found(config) if one.token != _token(claim)]
    return tuple((one, why) for one, why in others if why), tuple(one for one, why in others if not why)


def _over(line: LockLine, now: float) -> str | None:
    if line.expires is None:  # it may well be a later version's
        return None
    if now >= line.expires:
        return f"it expired at {utc(line.expires)}"
    if line.where == _where() and start_time(line.pid) != line.started:
        return f"process {line.pid} is gone"
    return None


def _own(claim: Claim, now: float) -> LockLine:
    pid = os.getpid()
    owner = f"{user()}@{socket.gethostname()}"
    return LockLine(_token(claim), owner, pid, start_time(pid) or 0, _where(), now + claim.lasts_s, claim.purpose)


def _token(claim: Claim) -> str:
    return claim.token[:TOKEN]


def _where() -> str:
    return hashlib.sha256(here().encode()).hexdigest()[:8]


def _held(router: Ios, other: LockLine) -> LabError:
    cure = f"wait until it is released, or ask its owner; where no run uses the router: {other.removal()}, in configuration mode"
    return LabError(f"lock {router.name} on {router.name} itself", f"it is held by {other}", cure)
