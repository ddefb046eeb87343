"""`show ip nat translations` and `clear ip nat translation`: their words, and what they ask of the NAT.

The forms of `clear` are the source's (NAT Support for IPsec ESP, phase II), its own example among them, which names the outside
places behind the inside ones without the word `outside`; with it is how other documents of the vendor write it. An ESP entry's
place in a port's stead is its SPI in hexadecimal digits, or 0, as it is shown.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from harness.model.nat_entries import Place
from harness.nat.ios.clearing import EVERYTHING, Clearing
from harness.virtual.ios.grammar import Match
from harness.virtual.ios.shows import nat as layout
from harness.virtual.ios.state import State

if TYPE_CHECKING:
    from harness.virtual.ios.nat_role import NatRole

SHOW, CLEAR = "show ip nat translations", "clear ip nat translation"
ESP_GATE, VRF_GATE = "show-nat-esp", "show-nat-vrf"
_OTHERS = "[icmp] [pptp] [tcp] [udp] [verbose]"
_VRF = " vrf WORD:vrf"
_NUMBER, _SPI = "<0-65535>", "HEX"


def _places(ports: str) -> tuple[str, ...]:
    """The forms behind the protocol; `ports` "" for addresses alone."""
    a, b, c, d = (f"A.B.C.D:{name}{f' {ports}:{name}-port' if ports else ''}" for name in ("ig", "il", "ol", "og"))
    return f"inside {a} {b} [[outside] {c} {d}]", f"outside {c} {d}"


def register(state: State, role: NatRole) -> None:
    """The commands of this NAT. `clear` needs privilege, `show` does not."""

    def show(_: State, match: Match) -> Iterable[str]:
        vrf = match.get("vrf") or None
        words = match.words[4 : None if vrf is None else -2]
        return layout.translations(
            role.entries(),
            protocols=[word for word in words if word in layout.KEYWORDS],
            verbose="verbose" in words,
            vrf=vrf,
        )

    for esp, gate in (("", ""), (" esp", ESP_GATE)):
        state.show(f"{SHOW}{esp} {_OTHERS}", show, gate=gate)
        state.show(f"{SHOW}{esp} {_OTHERS}{_VRF}", show, gate=gate or VRF_GATE)

    def clear(_: object, match: Match) -> tuple[str, ...]:
        role.clear(meant(match))
        return ()

    state.command(f"{CLEAR} *", clear)
    for protocols, ports, gate in (("", "", ""), ("", _NUMBER, ""), ("{tcp | udp} ", _NUMBER, ""), ("esp ", _SPI, ESP_GATE)):
        for form in _places(ports):
            state.command(f"{CLEAR} {protocols}{form}", clear, gate=gate)
    for protocols, gate in (("{tcp | udp}", ""), ("esp", ESP_GATE)):
        state.command(f"{CLEAR} {protocols}", clear, gate=gate)
        for form in _places(""):
            state.command(f"{CLEAR} {protocols} {form}", clear, gate=gate)


def meant(match: Match) -> Clearing:
    """What a `clear` names."""
    protocol = next((word for word in match.words if word in ("esp", "tcp", "udp")), None)
    if protocol is None and "ig" not in match.values and "ol" not in match.values:
        return EVERYTHING

    def both(first: str, second: str) -> tuple[Place, Place] | None:
        return (_place(match, first, protocol), _place(match, second, protocol)) if first in match.values else None

    return Clearing(protocol, both("ig", "il"), both("ol", "og"))


def _place(match: Match, name: str, protocol: str | None) -> Place:
    port = match.get(f"{name}-port")
    if protocol == "esp" and port:
        spi = int(port, 16)
        return Place(match.get(name), spi=spi) if spi else Place(match.get(name), 0)
    return Place(match.get(name), int(port) if port else None)
