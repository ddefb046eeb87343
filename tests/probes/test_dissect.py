from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from harness.errors import CaptureError
from harness.model import FrameKind, Observation, Side
from harness.probes.dissect import Addresses, Dissection, Dissector
from harness.probes.pcap import read_frames

GATEWAY, NAT = "203.0.113.231", "203.0.113.232"


def dissect(dissector: Dissector, files: Any, **options: Any) -> Dissection:
    captures = {Side.INSIDE: files.inside, Side.OUTSIDE: files.outside}
    return dissector.dissect(captures, keys=files.keys, addresses=Addresses(GATEWAY, NAT), **options)


def names(seen: tuple[Observation, ...]) -> list[str]:
    return [str(o.ike["message"]) for o in seen if o.ike]


def ppp(seen: tuple[Observation, ...]) -> list[tuple[str, str]]:
    found = [o.inner.ppp for o in seen if o.inner and o.inner.ppp]
    return [(facts["protocol"], facts.get("code", "")) for facts in found]


def test_a_whole_set_up_reads_alike_on_both_sides(dissector: Dissector, world: Any, craft: Any, tmp_path: Path) -> None:
    client = craft.Client(world, 1)
    client.up()
    client.mark(1)
    client.keepalive()
    client.informational((12, b"\0\0\0\1\3\4\0\1" + client.spis[0]), 0x77)
    seen = dissect(dissector, world.write(tmp_path))
    for side in (Side.INSIDE, Side.OUTSIDE):
        assert [o.problem for o in seen[side] if o.problem] == []
        assert names(seen[side]) == ["MM1", "MM2", "MM3", "MM4", "MM5", "MM6", "QM1", "QM2", "QM3", "INFO"]
        assert [o.frame for o in seen[side]] == list(range(1, len(seen[side]) + 1))
        l2tp = [o.inner.l2tp["message"] for o in seen[side] if o.inner and o.inner.l2tp and o.inner.l2tp["control"]]
        assert l2tp == ["SCCRQ", "SCCRP", "SCCCN", "ICRQ", "ICRP", "ICCN", "ZLB"]
        assert ppp(seen[side])[4:7] == [("CHAP", "Challenge"), ("CHAP", "Response"), ("CHAP", "Success")]
        marks = [o.inner.mark for o in seen[side] if o.inner and o.inner.mark]
        assert [(m.owner, m.sequence, m.answer) for m in marks] == [(1, 1, False), (1, 1, True)]
        assert [o.kind for o in seen[side]].count(FrameKind.KEEPALIVE) == 1
    assert not seen.damaged


def test_the_words_of_ike(dissector: Dissector, world: Any, craft: Any, tmp_path: Path) -> None:
    client = craft.Client(world, 1)
    client.main_mode()
    client.quick_mode()
    client.informational((12, b"\0\0\0\1\3\4\0\1" + client.spis[0]), 0x77)
    client.informational((11, b"\0\0\0\1\1\x10\x8d\x28" + client.icookie + client.rcookie + b"\0\0\0\5"), 0x78, up=False)
    by_name: dict[str, Any] = {}
    for o in dissect(dissector, world.write(tmp_path))[Side.OUTSIDE]:
        by_name.setdefault(o.ike["message"] if o.ike else "", o)
    first = by_name["MM1"].ike
    assert (first["exchange"], first["rcookie"], first["encrypted"], first["marker"]) == ("main mode", "00" * 8, False, False)
    assert first["vendor_ids"] == ["4a131c81070358455c5728f20e95452f"]
    assert first["vendors"] == ["RFC 3947"]
    (offer,) = first["proposals"]
    wanted = {"protocol": "IKE", "encryption": "aes-256", "hash": "sha1", "group": "modp2048", "authentication": "psk"}
    assert offer.items() >= (wanted | {"lifetime_s": 28800}).items()
    assert len(by_name["MM3"].ike["nat_d"]) == 2
    fifth = by_name["MM5"].ike
    assert (fifth["encrypted"], fifth["decrypted"], fifth["marker"], fifth["from_initiator"]) == (True, True, True, True)
    assert fifth["ids"] == [{"type": "ID_IPV4_ADDR", "protocol": 0, "port": 0, "value": "10.0.0.2"}]
    quick = by_name["QM1"].ike
    (sa,) = quick["proposals"]
    wanted = {"protocol": "ESP", "encapsulation": 4, "encryption": "aes-256", "authentication": "sha1", "spi": client.spis[0].hex()}
    assert sa.items() >= (wanted | {"lifetime_s": 3600, "lifetime_kb": 250_000}).items()
    assert [(i["value"], i["protocol"], i["port"]) for i in quick["ids"]] == [("10.0.0.2", 17, 1701), (GATEWAY, 17, 1701)]
    assert quick["nat_oa"] == ["10.0.0.2", GATEWAY]
    infos = [o.ike for o in dissect(dissector, world.write(tmp_path))[Side.INSIDE] if o.ike and o.ike["message"] == "INFO"]
    assert infos[0]["deletes"] == [{"protocol": "esp", "spis": [client.spis[0].hex()]}]
    assert infos[1]["notifies"][0].items() >= {"type": 36136, "name": "R-U-THERE", "data": "00000005"}.items()
    assert [i["from_initiator"] for i in infos] == [True, False]


def test_exact_retransmissions_are_flagged_and_break_no_chain(dissector: Dissector, world: Any, craft: Any, tmp_path: Path) -> None:
    client = craft.Client(world, 1)
    client.main_mode(again=True)
    client.quick_mode()
    seen = dissect(dissector, world.write(tmp_path))[Side.INSIDE]
    assert names(seen) == ["MM1", "MM2", "MM3", "MM4", "MM5", "MM5", "MM6", "QM1", "QM2", "QM3"]
    assert [o.frame for o in seen if o.ike and o.ike["retransmission"]] == [6]
    assert all(o.ike["decrypted"] for o in seen[4:] if o.ike)


def test_an_ike_message_lost_at_the_nat_is_read_where_it_was_seen(
    dissector: Dissector, world: Any, craft: Any, tmp_path: Path
) -> None:
    client = craft.Client(world, 1)
    client.main_mode()
    client.quick_mode()
    del world.frames["inside"][5]  # MM6
    seen = dissect(dissector, world.write(tmp_path))
    assert [o.problem for o in seen[Side.INSIDE]] == [None] * 8
    assert names(seen[Side.INSIDE])[4:] == ["MM5", "QM1", "QM2", "QM3"]


def test_a_wrong_key_is_a_problem_and_no_key_is_none(dissector: Dissector, world: Any, craft: Any, tmp_path: Path) -> None:
    craft.Client(world, 1).up()
    for key in world.keys:
        key["key"] = "77" * 32
    seen = dissect(dissector, world.write(tmp_path))[Side.OUTSIDE]
    assert "nonsense" in str(seen[4].problem)
    assert not seen[4].ike["decrypted"]  # type: ignore[index]
    world.keys.clear()
    seen = dissect(dissector, world.write(tmp_path))[Side.OUTSIDE]
    assert [o.problem for o in seen if o.problem] == []
    assert seen[-1].esp is not None
    assert seen[-1].esp["icv_ok"] is None
    assert seen[-1].inner is None


def test_the_decrypted_copy_needs_no_keys_and_holds_no_pap_password(
    dissector: Dissector, world: Any, craft: Any, tmp_path: Path
) -> None:
    client = craft.Client(world, 1)
    client.up()
    client.frame(True, craft.ppp_control(0xC023, 1, 9, b"\x05user1\x06secret"))
    client.mark(1)
    seen = dissect(dissector, world.write(tmp_path), decrypted=tmp_path / "decrypted.pcap")
    copy = list(read_frames(tmp_path / "decrypted.pcap"))
    assert len(copy) == len(seen[Side.INSIDE])
    assert b"secret" not in (tmp_path / "decrypted.pcap").read_bytes()
    again = dissector.dissect({Side.INSIDE: tmp_path / "decrypted.pcap"}, addresses=Addresses(GATEWAY, NAT))[Side.INSIDE]
    assert {o.kind for o in again} == {FrameKind.IKE, FrameKind.L2TP_CLEAR}
    assert ppp(again) == ppp(seen[Side.INSIDE])
    upward = [o for o in again if o.inner and o.src == client.address]
    assert all(o.headers["udp_checksum_ok"] and o.headers["ip_checksum_ok"] for o in upward)  # PAP's too, after the masking
    (pap,) = (o for o in again if o.inner and o.inner.ppp and o.inner.ppp["protocol"] == "PAP")
    assert pap.inner is not None
    assert (pap.inner.ppp or {})["name"] == "user1"
    assert (again[-1].inner.mark if again[-1].inner else None) is not None


def test_a_file_that_ends_early_gives_its_frames_and_says_so(dissector: Dissector, world: Any, craft: Any, tmp_path: Path) -> None:
    craft.Client(world, 1).main_mode()
    files = world.write(tmp_path)
    files.inside.write_bytes(files.inside.read_bytes()[:-3])
    seen = dissect(dissector, files)
    assert len(seen[Side.INSIDE]) == 5
    assert len(seen[Side.OUTSIDE]) == 6
    assert "middle of frame 6" in seen.damaged[Side.INSIDE]


def test_a_file_that_is_none_is_an_error_and_the_next_request_works(
    dissector: Dissector, world: Any, craft: Any, tmp_path: Path
) -> None:
    craft.Client(world, 1).main_mode()
    files = world.write(tmp_path)
    with pytest.raises(CaptureError, match="nowhere"):
        dissector.dissect({Side.INSIDE: tmp_path / "nowhere.pcap"})
    (tmp_path / "junk.pcap").write_bytes(b"junk" * 20)
    with pytest.raises(CaptureError, match="no pcap file"):
        dissector.dissect({Side.OUTSIDE: tmp_path / "junk.pcap", Side.INSIDE: files.inside})
    (tmp_path / "bad.jsonl").write_text("[]\n")
    with pytest.raises(CaptureError, match=r"bad\.jsonl:1"):
        dissector.dissect({Side.INSIDE: files.inside}, keys=tmp_path / "bad.jsonl")
    assert len(dissect(dissector, files)[Side.INSIDE]) == 6


def test_an_empty_capture_is_empty(dissector: Dissector, world: Any, tmp_path: Path) -> None:
    seen = dissect(dissector, world.write(tmp_path), decrypted=tmp_path / "d.pcap")
    assert seen == {Side.INSIDE: (), Side.OUTSIDE: ()}
    assert list(read_frames(tmp_path / "d.pcap")) == []


def test_its_death_is_an_error_with_its_last_words_and_not_the_end(world: Any, craft: Any, tmp_path: Path) -> None:
    craft.Client(world, 1).main_mode()
    files = world.write(tmp_path)
    with Dissector() as own:
        assert len(dissect(own, files)[Side.INSIDE]) == 6
        fifo = tmp_path / "never.pcap"
        os.mkfifo(fifo)  # it opens, and waits: the request is under way when the process is killed
        with pytest.raises(CaptureError, match=r"took longer than 0\.5 s"):
            own.dissect({Side.INSIDE: fifo}, timeout=0.5)
        assert len(dissect(own, files)[Side.INSIDE]) == 6
        os.kill(own._process.pid, signal.SIGSEGV)
        own._process.wait()
        assert len(asyncio.run(own.dissect_async({Side.INSIDE: files.inside}))[Side.INSIDE]) == 6


def test_a_crash_is_told_with_its_trace(world: Any, tmp_path: Path) -> None:
    files = world.write(tmp_path)
    with Dissector() as own, pytest.raises(CaptureError, match=r"status 1; its last words:(.|\n)*TypeError"):
        own._ask({"captures": {"inside": str(files.inside)}, "addresses": {"no such": 1}}, 20)


def on_interface(index: int, packet_type: int, packet: bytes) -> bytes:
    """A Linux cooked frame, version 2: protocol, reserved, interface, ARPHRD_PPP, packet type, address length, address."""
    return b"\x08\0\0\0" + index.to_bytes(4) + (512).to_bytes(2) + bytes([packet_type, 0]) + bytes(8) + packet


def test_a_capture_on_all_interfaces_tells_them_apart(dissector: Dissector, craft: Any, tmp_path: Path) -> None:
    ping = craft.marked("172.16.1.10", "172.16.1.1", 1, 3, False)
    frames = [(number, on_interface(index, way, ping)) for number, (index, way) in enumerate([(7, 0), (8, 4), (9, 0)])]
    path = tmp_path / "far-end.pcap"
    path.write_bytes(craft.pcap_bytes(frames, 276))
    (tmp_path / "far-end.links").write_text("1 lo\n7 ppp0\n8 ppp1\n")
    seen = dissector.dissect({Side.FAR_END: path})[Side.FAR_END]
    told = [(o.headers["interface_index"], o.headers.get("interface"), o.headers["packet_type"]) for o in seen]
    assert told == [(7, "ppp0", 0), (8, "ppp1", 4), (9, None, 0)]
    assert [o.mark and (o.mark.owner, o.mark.sequence) for o in seen] == [(1, 3)] * 3
    (tmp_path / "far-end.links").unlink()
    assert all("interface" not in o.headers for o in dissector.dissect({Side.FAR_END: path})[Side.FAR_END])
    (tmp_path / "far-end.links").write_text("seven ppp0\n")
    with pytest.raises(CaptureError, match="seven ppp0"):
        dissector.dissect({Side.FAR_END: path})
