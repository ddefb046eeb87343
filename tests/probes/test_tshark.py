from __future__ import annotations

import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from harness.model import Side
from harness.probes.dissect import Addresses, Dissector
from harness.probes.keyring import EMPTY, read_keys
from harness.probes.tshark import judge, phase1_retransmissions, write_keys

GATEWAY, NAT = "203.0.113.231", "203.0.113.232"
needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")


def two_clients(world: Any, craft: Any) -> None:
    one, two = craft.Client(world, 1), craft.Client(world, 2)
    two.ike_port, two.natt_port = 1701, 1812  # what a NAT may well choose, and tshark would read as L2TP and RADIUS
    one.main_mode(again=True)
    one.quick_mode()
    one.l2tp()
    one.ppp()
    two.up()
    for client in (one, two):
        client.mark(1)
        client.keepalive()
        client.informational((12, b"\0\0\0\1\3\4\0\1" + client.spis[0]), 0x99)


@needs_tshark
def test_tshark_agrees_with_the_dissector(dissector: Dissector, world: Any, craft: Any, tmp_path: Path) -> None:
    two_clients(world, craft)
    files = world.write(tmp_path)
    keys = read_keys(files.keys)
    captures = {Side.INSIDE: files.inside, Side.OUTSIDE: files.outside}
    seen = dissector.dissect(captures, keys=files.keys, addresses=Addresses(GATEWAY, NAT))
    for side, path in ((Side.INSIDE, files.inside), (Side.OUTSIDE, files.outside)):
        again = phase1_retransmissions(seen[side])
        assert again == {6}
        judgement = judge(path, keys, again)
        assert judgement.remarks == ()
        assert judgement.clean
        assert (judgement.frames, judgement.retransmissions) == (len(seen[side]), (6,))
        assert [o.problem for o in seen[side] if o.problem] == []


@needs_tshark
def test_it_sees_what_is_wrong(world: Any, craft: Any, tmp_path: Path) -> None:
    two_clients(world, craft)
    client = craft.Client(world, 3)
    client.main_mode()
    client.quick_mode()
    broken = bytearray(client.esp(True, craft.control(6, 7003, 0, 0, 0)))
    broken[-1] ^= 1
    world.send(client, True, True, bytes(broken))
    damaged = len(world.frames["inside"])
    world.send(client, True, True, b"\xde\xad\xbe\xef\0\0\0\1" + bytes(40))
    client.tell(True, craft.control(6, 7003, 0, 0, 0)[:-3])
    world.add("inside", craft.ip("10.0.0.4", GATEWAY, 17, craft.udp("10.0.0.4", GATEWAY, 40000, 40001, b"what?")))
    files = world.write(tmp_path)
    judgement = judge(files.inside, read_keys(files.keys))
    assert 6 in [r.frame for r in judgement.malformed]  # the retransmission that tshark was shown this time
    assert [r.frame for r in judgement.esp_not_decrypted] == [damaged, damaged + 1]
    assert [r.frame for r in judgement.unknown][-1] == damaged + 3
    assert damaged + 2 in [r.frame for r in judgement.malformed + judgement.errors]
    assert not judgement.clean


@needs_tshark
def test_without_keys_nothing_is_taken_for_decrypted(dissector: Dissector, world: Any, craft: Any, tmp_path: Path) -> None:
    two_clients(world, craft)
    files = world.write(tmp_path)
    seen = dissector.dissect({Side.INSIDE: files.inside}, keys=files.keys, addresses=Addresses(GATEWAY, NAT))[Side.INSIDE]
    judgement = judge(files.inside, EMPTY, {6})
    assert [r.frame for r in judgement.esp_not_decrypted] == [o.frame for o in seen if o.esp]
    encrypted = [o.frame for o in seen if o.ike and o.ike["encrypted"] and o.frame != 6]
    assert [r.frame for r in judgement.ike_not_decrypted] == encrypted


@needs_tshark
def test_the_folder_of_keys_opens_the_captures(world: Any, craft: Any, tmp_path: Path) -> None:
    two_clients(world, craft)
    files = world.write(tmp_path)
    command = write_keys(read_keys(files.keys), tmp_path / "tshark-keys")
    assert command in (tmp_path / "tshark-keys" / "README").read_text()
    run = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert run.stdout.count("Echo (ping)") == 4
    assert "SCCRQ" in run.stdout
    for path in (tmp_path / "tshark-keys").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@needs_tshark
def test_the_decrypted_copy_reads_without_keys(dissector: Dissector, world: Any, craft: Any, tmp_path: Path) -> None:
    two_clients(world, craft)
    files = world.write(tmp_path)
    copy = tmp_path / "decrypted.pcap"
    dissector.dissect({Side.INSIDE: files.inside}, keys=files.keys, addresses=Addresses(GATEWAY, NAT), decrypted=copy)
    judgement = judge(copy, EMPTY)
    assert judgement.malformed + judgement.errors + judgement.unknown + judgement.esp_not_decrypted == ()
