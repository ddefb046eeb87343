"""Faults in how a router reads its configuration: what is read, broken and sound."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from router_rehearsal import parts

from harness.routers.l2tp_lab import CONFIGURATIONS, LAC, LNS, STARTS_WITH
from harness.virtual import settings as virtual
from harness.virtual.ios.meaning_router import Meaning
from harness.virtual.ios.router import RouterParts
from harness.virtual.ios.state import State
from harness.virtual.settings import Settings

TEMPLATE, GROUP = "interface Virtual-Template1", "vpdn-group 1"
DEMUXED = (
    "ip local pool P 172.16.1.10 172.16.1.20", "vpdn enable", "vpdn-group 1", " accept-dialin", "  protocol l2tp",
    "  virtual-template 1", " no l2tp tunnel authentication", "crypto isakmp policy 1", " authentication pre-share",
    "crypto isakmp key cisco address 0.0.0.0 0.0.0.0", "crypto ipsec transform-set ts esp-3des esp-sha-hmac", " mode transport",
    "interface Loopback0", " ip address 172.16.1.1 255.255.255.255", TEMPLATE, " ip unnumbered Loopback0",
    " peer default ip address pool P", " ppp authentication ms-chap-v2 chap", "interface FastEthernet0/0",
    " ip address 10.0.0.13 255.255.255.0", " crypto map M",
)  # fmt: skip
DYNAMIC = ("crypto dynamic-map D 10", " set nat demux", " set transform-set ts", "crypto map M 10 ipsec-isakmp dynamic D")
STATIC = ("crypto map M 10 ipsec-isakmp", " set peer 10.0.0.20", " set nat demux", " set transform-set ts", " match address 101")


def state_of(*lines: str) -> State:
    made = State(release="12.4(1)", startup="\n".join([*lines, "end", ""]))
    assert made.troubles == []
    return made


def lab_lines(device: str, *more: str) -> list[str]:
    return [*(CONFIGURATIONS / STARTS_WITH[device]).read_text().splitlines(), *more]


def read(how: RouterParts, *lines: str) -> Settings:
    found: Meaning = how.meant(state_of(*lines).configuration.tree, virtual.load("demux"))
    assert found.settings is not None
    return found.settings


def accepting(settings: Settings) -> Any:
    assert settings.vpdn is not None
    return settings.vpdn.accept


def requesting(settings: Settings) -> Any:
    assert settings.vpdn is not None
    return settings.vpdn.request


def applied(settings: Settings) -> str | None:
    assert settings.vpdn is not None
    assert settings.vpdn.crypto is not None
    return settings.vpdn.crypto.applied


OTHER_GROUP = (
    "vpdn-group 2", " accept-dialin", "  protocol l2tp", "  virtual-template 1", " terminate-from hostname SECOND",
)  # fmt: skip

READINGS: dict[str, tuple[tuple[str, ...] | list[str], Callable[[Settings], Any], Any, Any]] = {
    "local-name-ignored": (lab_lines(LAC), lambda s: requesting(s)[0].local_name, "LAC", None),
    "l2tp-no-back-off": (lab_lines(LNS), lambda s: s.personality.l2tp_schedule.waits, (1, 2, 4, 8, 8), (1,) * 23),
    "hello-never": (lab_lines(LNS), lambda s: s.personality.hello, 60, None),
    "lcp-never-again": (lab_lines(LNS), lambda s: accepting(s)[0].renegotiation, "on-mismatch", "never"),
    "lcp-always-again": (lab_lines(LNS), lambda s: accepting(s)[0].renegotiation, "on-mismatch", "always"),
    "map-on-no-interface": (
        [line for line in lab_lines(LNS) if line != " crypto map l2tpsec"],
        applied,
        None,
        "l2tpsec",
    ),
    "path-mtu-of-all": (
        lab_lines(LNS, GROUP, " ip pmtu", *OTHER_GROUP),
        lambda s: [group.pmtu for group in accepting(s)],
        [True, False],
        [True, True],
    ),
    "dfbit-ignored": (lab_lines(LNS, GROUP, " ip dfbit set"), lambda s: accepting(s)[0].df_bit, "set", "clear"),
    "demux-static-only": ((*DYNAMIC[:3], *DEMUXED, DYNAMIC[3]), lambda s: s.personality.demux, True, False),
    "demux-dynamic-only": (
        (*DEMUXED, "access-list 101 permit udp any any", *STATIC),
        lambda s: s.personality.demux,
        True,
        False,
    ),
    "checksum-line-ignored": (
        (*DEMUXED, "vpdn ip udp ignore checksum", *DYNAMIC),
        lambda s: str(s.personality.checksum),
        "ignore",
        "verify",
    ),
    "keepalive-ignored": ((*DEMUXED, "crypto isakmp keepalive 30", *DYNAMIC), lambda s: s.personality.dpd, 30, None),
    "keepalive-capped": ((*DEMUXED, "crypto isakmp keepalive 3600", *DYNAMIC), lambda s: s.personality.dpd, 3600, 300),
    "ppp-methods-reversed": (
        (*DEMUXED, *DYNAMIC),
        lambda s: s.personality.authentication,
        ("mschapv2", "chap-md5"),
        ("chap-md5", "mschapv2"),
    ),
}


@pytest.mark.parametrize("fault", READINGS)
def test_a_reading_that_is_broken(fault: str) -> None:
    lines, what, sound, broken = READINGS[fault]
    assert what(read(RouterParts(), *lines)) == sound
    assert what(read(parts(fault), *lines)) == broken


def test_the_reading_that_is_broken_for_one_kind_of_map_heeds_the_other() -> None:
    static = (*DEMUXED, "access-list 101 permit udp any any", *STATIC)
    assert read(parts("demux-static-only"), *static).personality.demux
    assert read(parts("demux-dynamic-only"), *DEMUXED, *DYNAMIC).personality.demux


def test_what_was_on_once_stays_on_in_that_router_alone() -> None:
    how, lines = parts("no-demux-ignored"), [*DEMUXED, *DYNAMIC]
    off = [line for line in lines if line != " set nat demux"]
    assert not read(how, *off).personality.demux
    assert read(how, *lines).personality.demux
    assert read(how, *off).personality.demux
    assert not read(parts("no-demux-ignored"), *off).personality.demux


def test_ppp_methods_of_groups_are_reversed_too() -> None:
    lines = lab_lines(LNS, TEMPLATE, " ppp authentication chap pap")
    assert accepting(read(RouterParts(), *lines))[0].authentication == ("chap-md5", "pap")
    assert accepting(read(parts("ppp-methods-reversed"), *lines))[0].authentication == ("pap", "chap-md5")
