"""What an ordinary qualification plays: on which gateway variant, which scenarios, in whose time.

`wall` is real: namespaces, a NAT and a gateway of their own. `virtual` is the same clients, scripts, probes and verdicts over a
simulated link, NAT and clock, where hours take seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DEFAULT_TESTBED = Path(__file__).resolve().parents[1] / "testbeds" / "virtual.yaml"
WALL, VIRTUAL = TIMES = ("wall", "virtual")


@dataclass(frozen=True, slots=True)
class Showing:
    """One scenario that is played. `time` "" is the script's own, `clients` None its own number."""

    scenario: str
    time: str = ""
    clients: int | None = None


def _of(*scenarios: str | Showing) -> tuple[Showing, ...]:
    return tuple(Showing(one) if isinstance(one, str) else one for one in scenarios)


IOS_DEMUX = (
    "pair", "order", "together", "endings", "alone", "return", "demux-removed", "floating-port", "two-nats",
    "mixed", "nat-clears", "nat-timeout", "preserving", "symmetric", "alg", "single-client", "idle", "wrapped-and-bare", "rekey",
    "static-map", "dynamic-map", "release-before", "release-with", "map-order", "example", "example-keepalive", "example-keys",
    "example-ppp", "example-pool", "voluntary", "voluntary-bare", "voluntary-pmtu",
    "voluntary-volume",
)  # fmt: skip
"""What a virtual IOS router is asked with `set nat demux`, all in virtual time."""

QUALIFIED: Mapping[str, Mapping[str, tuple[Showing, ...]]] = {
    "linux": {
        "plain-kernel": _of("pair"),
        "plain-user": _of("order"),
        "demux-kernel": _of("pair", "together", "endings", "alone"),
    },
    "natstorm": {
        "demux": _of(
            "pair",
            "together",
            "storm",
            *(Showing(name, VIRTUAL) for name in ("order", "endings", "alone")),
            *("rekey", "rekey-storm", "return", "demux-removed", "floating-port", "port-space", "checksum", "two-nats", "mixed"),
            *("nat-clears", "nat-timeout", "preserving", "symmetric", "alg", "single-client", "idle", "no-natt"),
            *("real-alone", "real-beside"),
            *("cookie-helper-alone", "esp-helper-alone", "cookie-helper", "esp-helper", "churn"),
            *("windows-2000", "windows-2000-unpatched", "windows-98", "windows-xp", "windows-vista", "windows-10"),
        ),
        "plain": _of("pair", Showing("order", VIRTUAL), "eviction", "no-nat"),
        "default": _of(Showing("pair", VIRTUAL)),
        "clear": _of("clear"),
    },
    "ios": {
        "demux": _of(*(Showing(name, VIRTUAL) for name in IOS_DEMUX), Showing("rekey-storm", VIRTUAL, clients=10)),
        "plain": _of(*(Showing(name, VIRTUAL) for name in ("pair", "order", "eviction", "no-nat"))),
    },
}
"""By the gateway's `os` and variant; --all-variants and --variant take all that there are."""
