"""How it goes with one RADIUS server: what was asked of it, what came back, since when it is up or passed over."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """Of one kind of question. `requests` are questions, `again` their retransmissions, `timeouts` every wait in vain. `unexpected`
    answers nothing waited for, `malformed` could not be read, `incorrect` had a wrong authenticator. `success` were answered,
    `failure` given up; `spent_s` is how long all that were answered took, from the last sending on."""

    requests: int = 0
    again: int = 0
    timeouts: int = 0
    unexpected: int = 0
    malformed: int = 0
    incorrect: int = 0
    success: int = 0
    failure: int = 0
    spent_s: float = 0.0


@dataclass(slots=True)
class Health:
    """`since` when it has been as it is, `previous_s` how long it was otherwise before; `dead_until`: it is passed over till then.
    `deaths` counts how often it let all tries pass, `dead_s` how long it was passed over before now."""

    since: float
    access: Tally = field(default_factory=Tally)
    accounting: Tally = field(default_factory=Tally)
    previous_s: float = 0.0
    dead_until: float | None = None
    deaths: int = 0
    dead_s: float = 0.0

    def of(self, *, access: bool) -> Tally:
        return self.access if access else self.accounting

    def dead(self, now: float) -> bool:
        """A server whose time is up counts as alive again from that moment on, whoever asks first."""
        if self.dead_until is not None and now >= self.dead_until:
            self._turn(self.dead_until)
        return self.dead_until is not None

    def died(self, now: float, dead_s: float) -> None:
        """It has let all tries pass, and is passed over for `dead_s`."""
        self.deaths += 1
        if dead_s <= 0:
            return
        if not self.dead(now):
            self.since, self.previous_s = now, now - self.since
        self.dead_until = now + dead_s

    def answered(self, now: float) -> None:
        if self.dead(now):
            self._turn(now)

    def _turn(self, at: float) -> None:
        """It is alive again."""
        self.dead_until = None
        self.dead_s += at - self.since
        self.since, self.previous_s = at, at - self.since
