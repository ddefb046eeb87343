"""Lines of a log that a console shows amidst a configuration, stamped in every way that releases have."""

from __future__ import annotations

import pytest

from harness.devices.ios.configurations import parse_config

STAMPS = (
    "00:00:21: ",
    "1d02h: ",
    "2w3d: ",
    "000123: *Mar  1 00:00:21.123 UTC: ",
    ".Mar  1 00:00:21.123: ",
    "*Mar  1 2002 00:00:21.123 CET: ",
    "000123: ",
    "",
)
SECTION = ["interface FastEthernet0/0", " ip address 10.0.0.1 255.255.255.0", " duplex auto", "!", "ip http server", "end"]
CONFIG = {"interface FastEthernet0/0": {"ip address 10.0.0.1 255.255.255.0": {}, "duplex auto": {}}, "ip http server": {}}


@pytest.mark.parametrize("stamp", STAMPS)
@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_message_amidst_a_section_is_none_of_its_lines(stamp, at):
    message = f"{stamp}%SYS-5-CONFIG_I: Configured from console by vty0 (192.0.2.1)"
    assert parse_config("\n".join([*SECTION[:at], message, *SECTION[at:]])) == CONFIG


@pytest.mark.parametrize("stamp", STAMPS[:-2])
def test_nor_is_what_is_debugged(stamp):
    assert parse_config("\n".join([*SECTION[:1], f"{stamp}ISAKMP (0:1): beginning Main Mode", *SECTION[1:]])) == CONFIG


@pytest.mark.parametrize("line", ["ntp server 10.0.0.1", "1 permit host 10.0.0.1", "10 permit ip any any", "30820201 308201AA"])
def test_a_line_that_begins_with_a_number_is_one(line):
    assert parse_config(f"ip access-list extended X\n {line}\n") == {"ip access-list extended X": {line: {}}}
