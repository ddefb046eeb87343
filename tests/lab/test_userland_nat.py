"""The userland NAT, where it can what the kernel's cannot, and where it has to answer for itself."""

import os
import signal
import socket
from dataclasses import replace

import pytest
from enclosed import enclosed
from nat_play import GATEWAY, NAT, Play

from harness.errors import LabError, UsageError
from harness.lab import enclosure
from harness.lab.namespaces import Netns
from harness.lab.nat_process import entropy_of
from harness.lab.userland_nat import UserlandNat
from harness.testbed import check

lab = pytest.mark.lab


@lab
@enclosed
def test_masquerade_without_a_range_stops_at_511():
    play = Play("10.0.0.0/20", "masquerade-511")
    shared = play.shared_socket(500)
    for number in range(600):
        play.send_as(shared, number + 1)
    play.until(lambda: play.nat.statistics()["dropped"].get("no port") == 600 - 511)
    assert len(play.nat.mappings()) == 511
    assert all(m.outside_port < 512 for m in play.nat.mappings())


@lab
@enclosed
def test_it_reboots_and_gets_another_address():
    play = Play(personality="symmetric")
    first, second = play.client("10.0.0.2", 500), play.client("10.0.0.3", 500)
    before = [play.ask(first, b"one"), play.ask(second, b"two")]
    play.nat.reboot()
    assert play.nat.mappings() == ()
    for seen_as in before:
        play.gateway.sendto(b"late", seen_as)
    play.until(lambda: play.nat.statistics()["dropped"].get("unsolicited") == 2)

    play.nat.renumber("203.0.113.77")
    assert play.nat.outside_address == "203.0.113.77"
    address, port = play.ask(first, b"again")
    assert address == "203.0.113.77"
    play.answer(first, (address, port), b"welcome")
    assert [(m.outside_address, m.outside_port) for m in play.nat.mappings()] == [(address, port)]
    play.nat.forget_everything()
    assert play.nat.outside_address == NAT
    assert play.ask(first, b"as fresh")[0] == NAT


@lab
@enclosed
def test_a_kernel_below_the_userland_nat_says_nothing_of_its_own():
    """To what the NAT does not let in, nobody answers: no port unreachable, no echo reply."""
    play = Play(personality="pat")
    with play.nodes.wan.entered():
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((GATEWAY, 600))
    sock.connect((NAT, 700))
    for _ in range(3):
        sock.send(b"knock")  # a port unreachable would fail the next one
    play.until(lambda: play.nat.statistics()["dropped"].get("unsolicited") == 3)
    sock.send(b"knock")


@lab
@enclosed
def test_neighbours_are_asked_for_and_forgotten():
    play = Play(personality="pat")
    sock = play.client("10.0.0.2", 500)
    sock.sendto(b"nobody there", ("203.0.113.99", 500))
    play.until(lambda: play.nat.statistics()["ports"]["outside"]["unresolved"] == 1)  # after three ARP requests
    seen_as = play.ask(sock, b"one")
    play.nodes.wan.ip("link", "set", "switch0", "address", "02:00:00:00:00:01")  # another box takes the gateway's place
    play.nat.flush_neighbours()
    assert play.ask(sock, b"two") == seen_as


@lab
@enclosed
def test_a_burst_waits_for_a_neighbour_who_answers_late():
    play = Play(personality="pat")
    shared = play.shared_socket(500)
    play.nodes.wan.ip("link", "set", "switch0", "arp", "off")
    sent = [play.send_as(shared, number + 1) for number in range(200)]
    play.until(lambda: play.nat.statistics()["ports"]["inside"]["received"] == 200)
    assert play.nat.statistics()["ports"]["outside"]["sent"] == 0
    play.nodes.wan.ip("link", "set", "switch0", "arp", "on")
    assert [play.gateway.recvfrom(64)[0] for _ in sent] == sent
    assert play.nat.trouble() == []


@lab
@enclosed
def test_packets_that_the_process_did_not_read_in_time_are_told():
    play = Play(personality="pat")
    sock = play.client("10.0.0.2", 500)
    play.ask(sock, b"one")
    process = play.nat._process.pid
    os.kill(process, signal.SIGSTOP)
    for _ in range(60_000):
        sock.sendto(bytes(1000), (GATEWAY, 500))
    os.kill(process, signal.SIGCONT)
    told = play.nat.statistics()
    assert told["ports"]["inside"]["overflowed"] > 0
    assert told["lost"] >= told["ports"]["inside"]["overflowed"]
    assert "receive queue" in play.nat.trouble()[0]
    assert play.nat.trouble() == []


@lab
@enclosed
def test_the_process_ends_with_its_owner():
    play = Play(personality="pat")
    process = play.nat._process
    play.nat._control.close()  # what the kernel does when the owner dies
    assert process.wait(10) == 0
    with pytest.raises(LabError, match="userland NAT"):
        play.nat.mappings()
    play.nat.stop()
    play.nat.start()
    assert play.nat.mappings() == ()
    play.nat.stop()
    play.nodes.down()


@lab
@enclosed
def test_a_nat_that_cannot_start_says_why():
    play = Play(personality="pat")
    spec = play.testbed.nat
    nat = UserlandNat(play.nat.netns, replace(spec, inside=replace(spec.inside, name="gone0")), "10.0.0.0/24", "pat")
    with pytest.raises(LabError, match="open interface gone0"):
        nat.start()
    assert nat._process is None


def test_a_personality_that_nobody_knows_is_refused_at_once():
    spec = check(enclosure.ROOT / "testbeds/linux.yaml").nat
    with pytest.raises(UsageError, match="no NAT is called 'pta'"):
        UserlandNat(Netns("nat"), spec, "10.0.0.0/24", "pta")


def test_a_seed_gives_other_bytes_at_each_call_and_the_same_in_each_run():
    first, again, other = (entropy_of(seed) for seed in ("00" * 32, "00" * 32, "01" * 32))
    drawn = [first(4) for _ in range(100)]
    assert len(set(drawn)) == 100
    assert [again(4) for _ in range(100)] == drawn
    assert other(4) not in drawn
    assert len(first(100)) == 100  # more than the seed has
    assert entropy_of(None)(16) != entropy_of(None)(16)


@lab
@enclosed
def test_a_narrow_line_behind_it_delivers_in_fragments():
    play = Play(personality="narrow")
    sock = play.client("10.0.0.2", 4500)
    text = bytes(range(256)) * 5
    play.answer(sock, play.ask(sock, text), text)
    counted = play.nat.statistics()["ports"]
    assert (counted["outside"]["sent"], counted["inside"]["sent"]) == (3, 3)


@lab
@enclosed
def test_two_hundred_clients_live_behind_a_slow_line_that_reorders():
    """Every packet arrives once, late and out of order, at whom it was sent to."""
    play = Play(personality="slow")
    shared = play.shared_socket(500)
    sent = [play.send_as(shared, number + 1) for number in range(200)]
    seen = [play.gateway.recvfrom(64) for _ in sent]
    assert sorted(heard for heard, _ in seen) == sorted(sent)
    assert [heard for heard, _ in seen] != sent
    for heard, seen_as in seen:
        play.gateway.sendto(heard, seen_as)
    shared.settimeout(30)
    assert sorted(shared.recv(64) for _ in sent) == sorted(sent)
