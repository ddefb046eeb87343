"""The core's life: set-up, NAT traversal, rekey, deletion, dead peers, loss."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from harness.wire.config import EspProposal, IkeProposal
from harness.wire.events import EspDown, EspUp, Failed, IkeDown, IkeUp, Notified, Refused, RekeyFailed
from harness.wire.ike import registry
from harness.wire.ike.association import OVERLAP_S
from harness.wire.retransmit import Schedule

MakePair = Callable[..., Any]
DRAFT_02 = bytes.fromhex("90cb80913ebb696e086381b5ec427b1f")


def assert_same_sas(pair: Any, number: int = -1) -> None:
    """What one side's ESP SAs say about the other's."""
    ours, theirs = pair.got("client", EspUp)[number], pair.got("gateway", EspUp)[number]
    assert (ours.spi_in, ours.spi_out) == (theirs.spi_out, theirs.spi_in)
    assert (ours.key_in, ours.auth_key_in) == (theirs.key_out, theirs.auth_key_out)
    assert (ours.key_out, ours.auth_key_out) == (theirs.key_in, theirs.auth_key_in)
    assert ours.key_in != ours.key_out
    assert ours.encapsulation == theirs.encapsulation


@pytest.mark.parametrize("group", ["modp768", "modp1024", "modp1536", "modp2048", "ecp256", "ecp384"])
@pytest.mark.parametrize(
    ("encryption", "hash_name"), [("aes-256", "sha1"), ("aes-128", "sha256"), ("aes-192", "md5"), ("3des", "sha1"), ("des", "md5")]
)
def test_set_up(make_pair: MakePair, group: str, encryption: str, hash_name: str) -> None:
    fields = {"proposals": (IkeProposal(encryption, hash_name, group),), "esp_proposals": (EspProposal(encryption, hash_name),)}
    pair = make_pair(fields, fields).up()
    (ours,), (theirs,) = pair.got("client", IkeUp), pair.got("gateway", IkeUp)
    assert (ours.encryption, ours.hash, ours.group) == (encryption, hash_name, group)
    assert (ours.icookie, ours.rcookie, ours.encryption_key, ours.iv) == (
        theirs.icookie,
        theirs.rcookie,
        theirs.encryption_key,
        theirs.iv,
    )
    assert len(ours.iv) == (8 if encryption in ("3des", "des") else 16)
    assert_same_sas(pair)
    assert not pair.got("client", Refused)
    assert not pair.got("gateway", Refused)


def test_behind_a_nat_the_initiator_floats_at_mm5(make_pair: MakePair) -> None:
    pair = make_pair().up()
    sent = pair.sent["client"]
    assert [(d.sport, d.dport) for d in sent] == [(500, 500)] * 2 + [(4500, 4500)] * 3
    assert all(d.payload[:4] == registry.NON_ESP_MARKER for d in sent[2:])
    assert all(d.payload[:4] != registry.NON_ESP_MARKER for d in sent[:2])
    assert [d.sport for d in pair.sent["gateway"]] == [500, 500, 4500, 4500]
    (up,) = pair.got("client", IkeUp)
    assert (up.nat_local, up.nat_remote) == (True, False)
    (up,) = pair.got("gateway", IkeUp)
    assert (up.nat_local, up.nat_remote) == (False, True)
    assert pair.got("client", EspUp)[0].encapsulation == "udp-transport"


def test_without_a_nat_all_stays_on_500_in_plain_transport_mode(make_pair: MakePair) -> None:
    pair = make_pair(gateway={"peer_address": "10.0.0.2"}).up()
    assert {d.sport for d in pair.sent["client"] + pair.sent["gateway"]} == {500}
    assert pair.got("client", EspUp)[0].encapsulation == "transport"
    pair.advance(300)
    assert registry.KEEPALIVE not in [d.payload for d in pair.sent["client"]]


def test_a_peer_without_the_vendor_id_gets_no_nat_t(make_pair: MakePair) -> None:
    pair = make_pair(gateway={"vendor_ids": ()}).up()
    assert {d.sport for d in pair.sent["client"]} == {500}
    assert len(pair.sent["client"][1].payload) < 28 + 68 + 36 + 24  # MM3 without NAT-D


def test_the_draft_dialect_works_where_both_speak_only_that(make_pair: MakePair) -> None:
    pair = make_pair({"vendor_ids": (DRAFT_02,)}, {"vendor_ids": (DRAFT_02,)}).up()
    assert pair.sent["client"][-1].sport == 4500
    assert pair.got("client", EspUp)[0].encapsulation == "udp-transport"
    assert_same_sas(pair)


def test_keepalives_come_only_from_behind_the_nat_and_only_when_idle(make_pair: MakePair) -> None:
    pair = make_pair().up()
    pair.forget()
    pair.advance(65)
    assert [d.payload for d in pair.sent["client"]] == [registry.KEEPALIVE] * 3
    assert {d.dport for d in pair.sent["client"]} == {4500}
    assert pair.sent["gateway"] == []
    pair.forget()
    for _ in range(10):
        pair.advance(10)
        pair.client.note_traffic(pair.now)
    assert pair.sent["client"] == []
    pair.client.note_traffic(pair.now, sent=False)  # what comes in opens no mapping
    pair.advance(20)
    assert len(pair.sent["client"]) == 1


@pytest.mark.parametrize("seed", range(40))
def test_set_up_survives_loss(make_pair: MakePair, seed: int) -> None:
    """Every third datagram or so is lost; duplicates and retransmissions must bring both sides to the same SAs."""
    long = Schedule((1.0,) * 12)
    pair = make_pair({"schedule": long}, {"schedule": long}, seed=seed)
    chance = random.Random(seed)
    pair.drop = lambda sender, number: chance.random() < 0.35
    pair.up()
    pair.advance(40)
    assert len(pair.got("client", IkeUp)) == 1
    assert_same_sas(pair)
    assert not pair.got("client", Failed)


@pytest.mark.parametrize(("sender", "number"), [(s, n) for s in ("client", "gateway") for n in range(1, 6)])
def test_any_one_datagram_may_be_lost(make_pair: MakePair, sender: str, number: int) -> None:
    pair = make_pair()
    pair.drop = lambda who, count: (who, count) == (sender, number)
    pair.up()
    pair.advance(8)
    assert_same_sas(pair)
    assert len(pair.got("client", EspUp)) == len(pair.got("gateway", EspUp)) == 1


def test_every_datagram_twice_changes_nothing(make_pair: MakePair) -> None:
    pair = make_pair()
    pair.client.start(pair.now)
    datagrams = 0
    for _ in range(12):
        for sender, receiver in ((pair.client, pair.gateway), (pair.gateway, pair.client)):
            for datagram in sender.take_datagrams():
                payload = datagram.payload[4:] if datagram.dport == 4500 else datagram.payload
                receiver.receive(pair.now, payload, datagram.dport)
                receiver.receive(pair.now, payload, datagram.dport)
                datagrams += 1
    assert datagrams < 30  # two sides that answer each other's duplicates would stir each other up without end
    for core in (pair.client, pair.gateway):
        events = core.take_events()
        assert [type(event) for event in events] == [IkeUp, EspUp]
        assert core.take_datagrams() == []


@pytest.mark.parametrize(
    ("deaf_to", "stage", "reason"),
    [
        (1, "main mode", "no answer to MM1 after 3 tries"),
        (2, "main mode", "no answer to MM3 after 3 tries"),
        (3, "main mode", "no answer to MM5 after 3 tries, the usual sign that the pre-shared keys differ"),
        (4, "quick mode", "no answer to QM1 after 3 tries"),
    ],
)
def test_a_silent_gateway_is_named_by_stage(make_pair: MakePair, deaf_to: int, stage: str, reason: str) -> None:
    pair = make_pair()
    pair.drop = lambda sender, number: sender == "client" and number >= deaf_to
    pair.up()
    pair.advance(20)
    (failed,) = pair.got("client", Failed)
    assert (failed.stage, failed.reason) == (stage, reason)
    assert failed.facts["tries"] == 3


def test_a_wrong_key_is_called_by_its_usual_sign(make_pair: MakePair) -> None:
    pair = make_pair({"psk": b"wrong"}).up()
    assert [event.reason for event in pair.got("gateway", Refused)] != []
    pair.advance(20)
    (failed,) = pair.got("client", Failed)
    assert failed.stage == "main mode"
    assert "the usual sign that the pre-shared keys differ" in failed.reason
    assert pair.got("gateway", IkeUp) == []
    (given_up,) = [event for event in pair.got("gateway", Refused) if "came to nothing" in event.reason]
    assert "pre-shared keys differ" in given_up.reason


def test_no_common_ike_proposal(make_pair: MakePair) -> None:
    pair = make_pair({"proposals": (IkeProposal("aes-128", "sha256", "ecp384"),)}).up()
    assert not pair.got("client", Failed), "the refusal is in the clear: it has until the next retransmission to be contradicted"
    pair.advance(1.5)
    (failed,) = pair.got("client", Failed)
    assert (failed.stage, failed.reason) == ("main mode", "NO_PROPOSAL_CHOSEN from the peer")
    (notified,) = pair.got("client", Notified)
    assert not notified.protected
    assert pair.client.deadline is None


def test_a_forged_refusal_does_not_end_a_main_mode(make_pair: MakePair) -> None:
    """Anybody who has seen MM1 can send NO_PROPOSAL_CHOSEN in the clear: it counts only if no real answer comes in time."""
    pair = make_pair({})
    pair.client.start(pair.now)
    (mm1,) = pair.client.take_datagrams()
    icookie = mm1.payload[:8]
    notify = (0).to_bytes(1) + b"\0" + (12).to_bytes(2) + (1).to_bytes(4) + b"\x01\x00" + (14).to_bytes(2)
    forged = icookie + bytes(8) + b"\x0b\x10\x05\x00" + b"\x11\x22\x33\x44" + (28 + len(notify)).to_bytes(4) + notify
    pair.client.receive(pair.now, forged, 500)
    (notified,) = [event for event in pair.client.take_events() if isinstance(event, Notified)]
    assert (notified.name, notified.protected) == ("NO_PROPOSAL_CHOSEN", False)
    pair.gateway.receive(pair.now, mm1.payload, 500)
    (mm2,) = pair.gateway.take_datagrams()
    pair.client.receive(pair.now, mm2.payload, 500)
    (mm3,) = pair.client.take_datagrams()
    assert mm3.payload[:8] == icookie
    assert not [event for event in pair.client.take_events() if isinstance(event, Failed)]


def test_no_common_esp_proposal(make_pair: MakePair) -> None:
    pair = make_pair({"esp_proposals": (EspProposal("aes-128", "sha256"),)}).up()
    (failed,) = pair.got("client", Failed)
    assert (failed.stage, failed.reason) == ("quick mode", "NO_PROPOSAL_CHOSEN from the peer")
    (notified,) = pair.got("client", Notified)
    assert notified.protected
    assert pair.got("client", IkeDown) == []


def test_another_port_than_l2tp_is_refused(make_pair: MakePair) -> None:
    pair = make_pair({"l2tp_port": 1702}).up()
    (failed,) = pair.got("client", Failed)
    assert failed.reason == "INVALID_ID_INFORMATION from the peer"


def test_rekey_of_phase_2_on_request(make_pair: MakePair) -> None:
    pair = make_pair().up()
    old = pair.got("client", EspUp)[0]
    pair.client.rekey_ipsec(pair.now)
    pair.pump()
    new = pair.got("client", EspUp)[1]
    assert new.rekey
    assert new.spi_in != old.spi_in
    assert new.key_in != old.key_in
    assert_same_sas(pair)
    assert pair.got("client", EspDown) == []  # the old pair still receives
    pair.advance(OVERLAP_S)
    assert [(down.spi_in, down.by_peer) for down in pair.got("client", EspDown)] == [(old.spi_in, False)]
    assert [(down.spi_in, down.by_peer) for down in pair.got("gateway", EspDown)] == [(old.spi_out, True)]


def test_rekey_of_phase_2_begun_by_the_peer(make_pair: MakePair) -> None:
    pair = make_pair().up()
    pair.gateway.rekey_ipsec(pair.now)
    pair.pump()
    assert [up.rekey for up in pair.got("client", EspUp)] == [False, True]
    assert_same_sas(pair)
    pair.advance(OVERLAP_S)
    assert [down.by_peer for down in pair.got("client", EspDown)] == [True]


def test_rekey_of_phase_1_on_request(make_pair: MakePair) -> None:
    pair = make_pair().up()
    pair.forget()
    pair.client.rekey_ike(pair.now)
    pair.pump()
    (up,) = pair.got("client", IkeUp)
    assert up.rekey
    assert {d.sport for d in pair.sent["client"]} == {4500}  # RFC 3947 §4: never back to 500
    assert pair.got("client", EspUp) == []  # ESP SAs live on
    pair.advance(OVERLAP_S)
    (down,) = pair.got("client", IkeDown)
    assert down.icookie != up.icookie
    assert [event.by_peer for event in pair.got("gateway", IkeDown)] == [True]
    pair.client.rekey_ipsec(pair.now)
    pair.pump()
    assert_same_sas(pair)
    assert pair.got("gateway", Refused) == []


def test_main_mode_begun_by_the_peer(make_pair: MakePair) -> None:
    pair = make_pair().up()
    pair.gateway.rekey_ike(pair.now)
    pair.pump()
    assert [up.rekey for up in pair.got("client", IkeUp)] == [False, True]
    assert pair.got("client", IkeUp)[1].icookie == pair.got("gateway", IkeUp)[1].icookie
    pair.client.rekey_ipsec(pair.now)
    pair.pump()
    assert_same_sas(pair)


def test_a_day_of_rekeys_at_the_margin(make_pair: MakePair) -> None:
    pair = make_pair().up()
    pair.advance(86_000)
    assert pair.got("client", Failed) == []
    assert pair.got("client", RekeyFailed) == []
    # Just below 24 h: quick modes every 0.8 h, main modes every 6.4 h, and both sides agree on the last of each.
    assert len(pair.got("client", EspUp)) == 1 + 29
    assert len(pair.got("client", IkeUp)) == 1 + 3
    assert_same_sas(pair)
    assert all(down.reason == "replaced by a newer one" for down in pair.got("client", EspDown))


def test_a_rekey_that_fails_leaves_the_sa_to_its_lifetime(make_pair: MakePair) -> None:
    pair = make_pair().up()
    pair.drop = lambda sender, number: True
    pair.client.rekey_ipsec(pair.now)
    pair.advance(10)
    (failed,) = pair.got("client", RekeyFailed)
    assert (failed.stage, failed.reason) == ("quick mode", "no answer to QM1 after 3 tries")
    assert pair.got("client", EspDown) == []
    pair.advance(3600)
    (down,) = pair.got("client", EspDown)
    assert down.reason == "its lifetime of 3600 s has ended"
    assert pair.got("client", Failed) == []


def test_lifetimes_of_the_peer_shorten_ours(make_pair: MakePair) -> None:
    pair = make_pair(gateway={"proposals": (IkeProposal("aes-256", "sha1", "ecp256", 600),)}).up()
    assert pair.got("gateway", IkeUp)[0].lifetime_s == 600
    pair = make_pair(gateway={"esp_proposals": (EspProposal("aes-256", "sha1", 300, 0),)}).up()
    assert (pair.got("gateway", EspUp)[0].lifetime_s, pair.got("gateway", EspUp)[0].lifetime_kb) == (300, 250_000)


def test_delete_of_esp_leaves_the_isakmp_sa(make_pair: MakePair) -> None:
    pair = make_pair().up()
    pair.client.delete_ipsec(pair.now)
    pair.pump()
    assert [down.by_peer for down in pair.got("client", EspDown)] == [False]
    assert [down.by_peer for down in pair.got("gateway", EspDown)] == [True]
    assert pair.got("client", IkeDown) == pair.got("gateway", IkeDown) == []
    pair.client.rekey_ipsec(pair.now)
    pair.pump()
    assert pair.got("client", EspUp)[1].rekey is False
    assert_same_sas(pair)


def test_close_deletes_all_in_order_and_leaves_nothing_due(make_pair: MakePair) -> None:
    pair = make_pair().up()
    pair.client.close(pair.now)
    pair.pump()
    for end in ("client", "gateway"):
        assert [type(event) for event in pair.events[end]][-2:] == [EspDown, IkeDown]
    assert pair.client.deadline is None
    assert pair.gateway.deadline is None


@pytest.mark.parametrize("lost", range(1, 6))
def test_close_at_any_moment_of_the_set_up(make_pair: MakePair, lost: int) -> None:
    pair = make_pair()
    pair.drop = lambda sender, number: sender == "client" and number >= lost
    pair.up()
    pair.client.close(pair.now)
    assert pair.client.deadline is None
    pair.client.tick(pair.now + 1000)
    pair.pump()
    assert pair.got("client", Failed) == []


def test_an_isakmp_sa_deleted_by_the_peer_is_made_again_for_a_rekey(make_pair: MakePair) -> None:
    pair = make_pair().up()
    gateway = pair.gateway._all
    gateway.delete_sa(pair.now, gateway.sas[0], "test")
    pair.pump()
    (down,) = pair.got("client", IkeDown)
    assert down.by_peer
    assert pair.got("client", EspDown) == []
    pair.client.rekey_ipsec(pair.now)
    pair.pump()
    assert [up.rekey for up in pair.got("client", IkeUp)] == [False, True]
    assert_same_sas(pair)


def test_dpd_asks_only_when_idle_and_takes_the_answer(make_pair: MakePair) -> None:
    pair = make_pair({"dpd_s": 30.0, "keepalive_s": 1000.0}).up()
    pair.forget()
    pair.advance(29)
    assert pair.sent["client"] == []
    pair.advance(2)
    assert len(pair.sent["client"]) == len(pair.sent["gateway"]) == 1
    pair.forget()
    for _ in range(10):
        pair.advance(20)
        pair.client.note_traffic(pair.now)
    assert pair.sent["client"] == []
    assert pair.got("client", Failed) == []


def test_dpd_declares_a_silent_peer_dead(make_pair: MakePair) -> None:
    pair = make_pair({"dpd_s": 30.0, "keepalive_s": 1000.0}).up()
    pair.forget()
    pair.drop = lambda sender, number: sender == "client"
    pair.advance(100)
    assert len({d.payload for d in pair.sent["client"]}) == 3  # three questions, each a message of its own
    (failed,) = pair.got("client", Failed)
    assert (failed.stage, failed.reason) == ("up", "the peer is dead: no answer to R-U-THERE after 3 tries")
    assert len(pair.got("client", EspDown)) == len(pair.got("client", IkeDown)) == 1
    assert pair.client.deadline is None


def test_no_dpd_for_a_peer_that_did_not_announce_it(make_pair: MakePair) -> None:
    bare = {"vendor_ids": (bytes.fromhex("4a131c81070358455c5728f20e95452f"),)}
    pair = make_pair({"dpd_s": 5.0, "keepalive_s": 1000.0}, bare).up()
    pair.forget()
    pair.advance(500)
    assert pair.sent["client"] == []


def test_a_duplicate_r_u_there_gets_the_same_answer(make_pair: MakePair) -> None:
    pair = make_pair({"dpd_s": 30.0, "keepalive_s": 1000.0}).up()
    pair.forget()
    pair.advance(31)
    (question,), (answer,) = pair.sent["client"], pair.sent["gateway"]
    pair.gateway.receive(pair.now, question.payload[4:], 4500)
    assert pair.gateway.take_datagrams() == [answer]


def test_vendor_ids_go_out_in_their_order(make_pair: MakePair) -> None:
    vendor_ids = tuple(bytes((n,)) * 16 for n in range(1, 6))
    pair = make_pair({"vendor_ids": vendor_ids}).up()
    payload = pair.sent["client"][0].payload
    places = [payload.index(value) for value in vendor_ids]
    assert places == sorted(places)


def test_identities(make_pair: MakePair) -> None:
    for fields in ({"identity": "fqdn:laptop.example.com"}, {"id_protocol": 17, "id_port": 1701}):
        pair = make_pair(fields).up()
        assert len(pair.got("gateway", IkeUp)) == 1


def test_spis_are_never_reserved_or_used_twice(make_pair: MakePair) -> None:
    pair = make_pair()
    values = itertools.cycle([bytes(3) + b"\x05"])
    draw = pair.client._all.entropy
    pair.client._all.entropy = lambda count: next(values) if count == 4 else draw(count)
    pair.up()
    for _ in range(3):
        pair.client.rekey_ipsec(pair.now)
        pair.pump()
    spis = [up.spi_in for up in pair.got("client", EspUp)]
    assert len(set(spis)) == 4
    assert min(spis) >= 256


def test_configuration_does_not_print_the_key() -> None:
    from harness.wire.config import IkeConfig

    config = IkeConfig("10.0.0.2", "10.0.0.3", b"verysecret", (), (), ())
    assert "verysecret" not in repr(replace(config, identity="address"))
