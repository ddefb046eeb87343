"""The software lab behind the interface of all providers: real labs, links really cut, by calls and as typed.

Every test that brings a lab up is a machine of its own (`enclosed`): the keeper's name is one a user.
"""

from __future__ import annotations

import io
import json
import os
import select
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress

import pytest
from enclosed import enclosed
from leftovers import assert_nothing_left, snapshot

from harness.cli import main
from harness.devices import journal
from harness.errors import UsageError
from harness.lab import control, enclosure, libc
from harness.lab.providers.namespaces import Namespaces
from harness.lab.providers.provider import STARTED, Console, End, Provider
from harness.testbed import check

VIRTUAL, LINUX = (str(enclosure.ROOT / "testbeds" / name) for name in ("virtual.yaml", "linux.yaml"))
CLIENT, GATEWAY = "10.0.0.9", "203.0.113.231"
ANSWER_S = 15.0
LOST_S = 0.5
"""How long a ping is listened for that must not be answered: one that is, is answered in less than a millisecond."""


@contextmanager
def up(file: str) -> Iterator[Namespaces]:
    before = snapshot()
    lab = Namespaces(check(file))
    lab.up()
    yield lab
    lab.down()
    assert control.connect() is None
    assert_nothing_left(before)


def within(node: str, make: Callable[[], object]) -> object:
    """What `make` returns in the node's network namespace."""
    asked = control.connect()
    asked.ask({"do": "enter", "node": node})
    *others, network = asked.take_fds()
    with open("/proc/thread-self/ns/net", "rb") as home:
        libc.setns(network, libc.CLONE_NEWNET)
        try:
            return make()
        finally:
            libc.setns(home.fileno(), libc.CLONE_NEWNET)
            for handle in (*others, network):
                os.close(handle)
            asked.close()


class Pinger:
    """ICMP echo requests from a node, each of a number of its own; `lost` and `answered` send one."""

    def __init__(self, node: str, to: str) -> None:
        self.to = to
        self.number = 0
        self.socket = within(node, lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))
        if node == "clients":
            self.socket.bind((CLIENT, 0))

    def answered(self) -> bool:
        return self._sent(ANSWER_S)

    def lost(self) -> bool:
        return not self._sent(LOST_S)

    def _sent(self, seconds: float) -> bool:
        self.number += 1
        echo = struct.pack("!BBHHH", 8, 0, 0, 0x4E53, self.number)
        checksum = ~sum(struct.unpack("!4H", echo)) & 0xFFFF  # 0x4E53 + 0x0800 + number: no carry
        with suppress(OSError):  # no way there: the interface is down, and its route gone
            self.socket.sendto(echo[:2] + struct.pack("!H", checksum) + echo[4:], (self.to, 0))
        while select.select([self.socket], [], [], seconds)[0]:
            answer = self.socket.recv(2048)
            if answer[20] == 0 and answer[24:28] == echo[4:]:
                return True
        return False


class Arper:
    """Asks the gateway's process for its hardware address on the end host's link, where it answers no ping."""

    def answered(self) -> bool:
        return self._asked(ANSWER_S)

    def lost(self) -> bool:
        return not self._asked(LOST_S)

    def _asked(self, seconds: float) -> bool:
        with within("host", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)) as link, suppress(OSError):
            link.bind(("lan0", 0x0806))
            own, here, there = link.getsockname()[4], socket.inet_aton("198.51.100.10"), socket.inet_aton("198.51.100.1")
            request = struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 1, own, here, bytes(6), there)
            link.send(b"\xff" * 6 + own + b"\x08\x06" + request)
            while select.select([link], [], [], seconds)[0]:
                if link.recv(2048)[20:22] == b"\0\2":
                    return True
        return False


def routes(node: str) -> str:
    return within(node, lambda: subprocess.run(["ip", "route"], capture_output=True, text=True, check=True).stdout)


WAYS = {"clients-nat": "clients", "nat-wan": "clients", "gateway-wan": "nat", "gateway-host": "host"}
"""Each link, and the node that asks the gateway across it."""


def cut_and_mend(lab: Namespaces, *names: str) -> None:
    for name in names:
        node = WAYS[name]
        pinger, before = Arper() if node == "host" else Pinger(node, GATEWAY), routes(node)
        assert pinger.answered(), name
        lab.link_down(name)
        assert [link.name for link in lab.status().links if not link.up] == [name]
        assert pinger.lost(), name
        lab.link_up(name)
        assert all(link.up for link in lab.status().links)
        assert pinger.answered(), name
        assert routes(node) == before


@pytest.mark.lab
@enclosed
def test_every_link_of_a_virtual_lab_is_cut_and_mended():
    assert isinstance(Namespaces(None), Provider)
    with up(VIRTUAL) as lab:
        status = lab.status()
        assert (status.provider, status.lab, status.up, status.notes) == ("namespaces", "virtual", True, ())
        assert {node.name: (node.kind, node.state) for node in status.nodes} == {
            "clients": ("namespace", STARTED), "nat": ("namespace", STARTED), "wan": ("namespace", STARTED),
            "gateway": ("process", STARTED), "host": ("namespace", STARTED),
        }  # fmt: skip
        assert lab.console("gateway") == Console("gateway", 0, "namespace")
        assert {link.name for link in status.links} == set(WAYS)
        cut_and_mend(lab, *WAYS)
        lab.link_up("nat-wan")  # whole already
        with pytest.raises(UsageError, match="up already"):
            lab.up()


@pytest.mark.lab
@enclosed(timeout=180)
def test_a_guest_on_its_tap_outlives_the_cut():
    with up(LINUX) as lab:
        (gateway,) = [node for node in lab.status().nodes if node.name == "gateway"]
        assert (gateway.kind, gateway.console) == ("guest", Console("gateway", 0, "guest"))
        ends = {link.name: link.ends for link in lab.status().links}
        assert ends["gateway-wan"][0] == End("gateway", "vec0")
        cut_and_mend(lab, "gateway-wan", "nat-wan")


def until_answer(pieces: Iterator[bytes], number: int) -> bytes:
    """The stream's bytes up to the frame that answers echo request `number` of a Pinger."""
    data = b""
    for piece in pieces:
        data += piece
        frame = piece[16:]  # after the record's header; 14 bytes of Ethernet and 20 of IP come before ICMP
        icmp = frame[34:] if frame[12:14] == b"\x08\x00" and frame[23] == socket.IPPROTO_ICMP else b""
        if icmp[:1] == b"\0" and icmp[6:8] == struct.pack("!H", number):
            return data
    raise AssertionError("the capture ended before the answer")


def echoes(data: bytes) -> list[str]:
    """As tcpdump reads them, whose code is not ours."""
    said = subprocess.run(["tcpdump", "-n", "-r", "-", "icmp"], input=data, capture_output=True, check=True).stdout.decode()
    return [f"{line.split(' IP ')[1].split(': ')[0]} {line.split(' echo ')[1].split(',')[0]} {line.split(' seq ')[1].split(',')[0]}"
            for line in said.splitlines()]


@pytest.mark.lab
@enclosed
def test_captures_show_where_a_packet_was_lost():
    with up(VIRTUAL) as lab:
        pinger = Pinger("clients", GATEWAY)
        assert pinger.answered()  # neighbours know each other from here on
        with lab.capture("nat-wan") as before_the_cut, lab.capture("gateway-wan") as behind_it:
            lab.link_down("nat-wan")
            assert pinger.lost()
            lab.link_up("nat-wan")
            assert pinger.answered()
            there, back = f"203.0.113.232 > {GATEWAY}", f"{GATEWAY} > 203.0.113.232"
            assert echoes(until_answer(before_the_cut, 3)) == [f"{there} request 2", f"{there} request 3", f"{back} reply 3"]
            assert echoes(until_answer(behind_it, 3)) == [f"{there} request 3", f"{back} reply 3"]
        assert (list(before_the_cut), list(behind_it)) == ([], [])  # left, they have ended


@pytest.mark.lab
@enclosed
def test_a_capture_ends_with_the_lab():
    lab = Namespaces(check(VIRTUAL))
    lab.up()
    with lab.capture("clients-nat") as pieces:
        assert len(next(pieces)) == 24
        lab.down()
        for _ in pieces:  # what passed until then; it ends by itself
            pass


@pytest.mark.lab
@enclosed(rootless=True)
def test_an_ordinary_user_cuts_and_captures_too():
    lab = Namespaces(check(VIRTUAL))
    lab.up()
    with lab.capture("nat-wan") as pieces:
        assert len(next(pieces)) == 24
        lab.link_down("nat-wan")
        assert [link.name for link in lab.status().links if not link.up] == ["nat-wan"]
        lab.link_up("nat-wan")
    assert all(link.up for link in lab.status().links)
    lab.down()


def typed(*words: str) -> tuple[int, str, str]:
    """`natstorm lab WORDS`: exit status, standard output, standard error."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = main(["lab", *words])
    return status, out.getvalue(), err.getvalue()


@pytest.mark.lab
@enclosed
def test_as_typed():
    assert typed("status", "--testbed", VIRTUAL) == (1, "no lab is up\n", "")
    assert typed("down", "--testbed", VIRTUAL) == (0, "no lab is up\n", "")
    for words in (("link", "down", VIRTUAL, "nat-wan"), ("console", "nat", "--testbed", VIRTUAL)):
        status, _, said = typed(*words)
        assert status == 2
        assert "no lab is up" in said
        assert f"lab up --testbed {VIRTUAL}" in said

    assert typed("up")[0] == 0
    assert "link nat-wan (nat outside0 - wan to-nat)\n" in typed("status", "--testbed", VIRTUAL)[1]
    status, said, _ = typed("link", "down", VIRTUAL, "nat-wan")
    assert status == 0
    assert "link nat-wan is down: nothing passes it until" in said
    assert f"lab link up {VIRTUAL} nat-wan" in said
    assert "or until the lab ends, and the cut with it" in said
    assert typed("link", "down", VIRTUAL, "nat-wan")[:2] == (0, "link nat-wan is down already\n")
    assert "link nat-wan (nat outside0 - wan to-nat): DOWN\n" in typed("status")[1]
    links = json.loads(typed("status", "--json")[1])["links"]
    assert [link["link"] for link in links if not link["up"]] == ["nat-wan"]
    assert typed("link", "up", VIRTUAL, "nat-wan")[:2] == (0, "link nat-wan is up\n")
    # Nothing outlives the lab, so that there is nothing to restore of it; others may have runs on this machine.
    assert [one for one in journal.kept() if one.file == VIRTUAL] == []

    status, _, said = typed("link", "down", VIRTUAL, "nat-gateway")
    assert status == 3
    assert "no such link in the lab\n  cure: one of clients-nat, gateway-host, gateway-wan, nat-wan" in said
    status, _, said = typed("console", "R1")
    assert status == 3
    assert "no such node in the lab\n  cure: one of clients, gateway, host, nat, wan" in said
    status, _, said = typed("link", "down", VIRTUAL, "nat-wan", "--during-run")
    assert status == 2
    assert "each builds its own" in said
    assert "leave --during-run out" in said

    # Another testbed's lab is not this one.
    status, _, said = typed("link", "down", LINUX, "nat-wan")
    assert status == 2
    assert f"the lab that is up is that of {VIRTUAL}" in said
    assert typed("status", "--testbed", LINUX)[:2] == (1, "no lab is up\n")
    assert typed("down", "--testbed", LINUX)[:2] == (0, "no lab is up\n")

    console = [sys.executable, "-m", "harness.cli", "lab", "console", "nat", "--testbed", VIRTUAL]
    shell = subprocess.run(
        console, input="ip netns identify; exit 5\n", capture_output=True, text=True, check=False,
        env={**os.environ, "SHELL": "/bin/sh"},
    )  # fmt: skip
    assert (shell.returncode, shell.stdout) == (5, "nat\n")
    assert typed("down", "--testbed", VIRTUAL)[:2] == (0, "the lab is down\n")
    with pytest.raises(UsageError, match="no lab is up"):
        Namespaces(check(VIRTUAL)).link_up("nat-wan")
    with pytest.raises(UsageError, match="no testbed is named"):
        Namespaces(None).up()
