"""The files of a Linux client, and what its driver does with a machine that does not do as told."""

import asyncio
from types import SimpleNamespace

import pytest

from harness.devices.linux_client import ClientSettings, Lines, LinuxClient, render
from harness.errors import DeviceError, UsageError
from harness.model import Secret

SETTINGS = ClientSettings("10.0.0.4", "203.0.113.231", Secret("se cret"), "user4", Secret("pw4"))


def test_every_placeholder_is_filled():
    files = render(SETTINGS, "c4")
    assert all("@{" not in text for text in files.values())
    assert 'secret = "se cret"' in files["/etc/swanctl/swanctl.conf"]
    assert files["/etc/ppp/chap-secrets"] == '"user4" * "pw4" *\n'
    assert "10.0.0.4 c4" in files["/etc/hosts"]  # else pppd asks a resolver for its own name, on the wire


def test_a_secret_that_no_file_can_hold_is_refused():
    with pytest.raises(UsageError):
        render(ClientSettings("10.0.0.4", "203.0.113.231", Secret('a"b'), "user4", Secret("pw4")), "c4")


def test_lines_are_put_together_from_pieces():
    lines = []
    feed = Lines(lines.append)
    for piece in ("on", "e\ntw", "o\n\nthree"):
        feed(piece)
    assert lines == ["one", "two", ""]


def driver(status, output):
    async def execute(command, timeout):
        return SimpleNamespace(status=status, output=output)

    return LinuxClient(execute, lambda command, fed=False: None, SETTINGS, "relay", name="c4")


def test_what_the_client_said_is_in_the_error():
    with pytest.raises(DeviceError, match="no matching CHILD_SA") as caught:
        asyncio.run(driver(1, "no matching CHILD_SA").rekey_ipsec())
    assert caught.value.device == "c4"


def test_there_is_no_way_for_a_packet_before_it_has_dialled():
    assert not driver(0, "").send(bytes(28))
