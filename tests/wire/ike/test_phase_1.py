"""Phase 1 in all its ways: main or aggressive mode, pre-shared key or signatures; and what goes along with it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import authorities as pki
import pytest
from phase_1_ways import WAYS

from harness.wire.config import IkeConfig, IkeProposal
from harness.wire.crypto.certificates import Credentials
from harness.wire.events import EspDown, EspUp, Failed, IkeDown, IkeUp, InitialContact, Notified, Refused
from harness.wire.ike import registry
from harness.wire.ike.attributes import PHASE_1
from harness.wire.ike.message import Header, read_header, read_payloads, write_message, write_payloads
from harness.wire.ike.natt import DIALECTS
from harness.wire.ike.payloads import Notification
from harness.wire.ike.proposals import ike_offer, read_sa
from harness.wire.retransmit import Schedule

MakePair = Callable[..., Any]
Way = tuple[dict[str, Any], dict[str, Any]]
AGGRESSIVE = WAYS["aggressive mode, key"]
SIGNED = WAYS["main mode, signatures"]


def reasons(pair: Any, end: str) -> list[str]:
    return [event.reason for event in pair.got(end, Refused)]


def test_set_up(make_pair: MakePair, way: Way) -> None:
    pair = make_pair(*way).up()
    (ours,), (theirs,) = pair.got("client", IkeUp), pair.got("gateway", IkeUp)
    assert reasons(pair, "client") == reasons(pair, "gateway") == []
    assert ours.exchange == theirs.exchange == f"{way[0].get('exchange', 'main')} mode"
    signed = "credentials" in way[0]
    assert (ours.authentication, theirs.authentication) == (("rsa",) * 2 if signed else ("psk",) * 2)
    assert ours.identity == ("CN=gateway,O=Test" if signed else "203.0.113.231")
    assert theirs.identity == ("laptop.example.com" if signed else "10.0.0.2")
    assert ours.encryption_key == theirs.encryption_key
    assert pair.got("client", EspUp)[0].key_in == pair.got("gateway", EspUp)[0].key_out
    assert (ours.nat_local, ours.nat_remote, theirs.nat_local, theirs.nat_remote) == (True, False, False, True)


def test_rekey_of_phase_1_stays_on_4500(make_pair: MakePair, way: Way) -> None:
    pair = make_pair(*way).up()
    pair.forget()
    pair.client.rekey_ike(pair.now)
    pair.pump()
    assert [up.rekey for up in pair.got("client", IkeUp)] == [True]
    pair.advance(20)
    assert {d.sport for d in pair.sent["client"] + pair.sent["gateway"]} == {4500}
    assert [down.by_peer for down in pair.got("gateway", IkeDown)] == [True]
    pair.client.rekey_ipsec(pair.now)
    pair.pump()
    assert reasons(pair, "gateway") == []


@pytest.mark.parametrize("seed", range(12))
def test_set_up_survives_loss(make_pair: MakePair, way: Way, seed: int) -> None:
    long = {"schedule": Schedule((1.0,) * 14)}
    pair = make_pair({**way[0], **long}, {**way[1], **long}, seed=seed)
    chance = random.Random(seed)
    pair.drop = lambda sender, number: chance.random() < 0.35
    pair.up()
    pair.advance(40)
    assert len(pair.got("client", IkeUp)) == 1
    assert pair.got("client", EspUp)[-1].key_in == pair.got("gateway", EspUp)[-1].key_out
    assert not pair.got("client", Failed)


@pytest.mark.parametrize(("sender", "number"), [(s, n) for s in ("client", "gateway") for n in range(1, 5)])
def test_any_one_datagram_may_be_lost(make_pair: MakePair, way: Way, sender: str, number: int) -> None:
    pair = make_pair(*way)
    pair.drop = lambda who, count: (who, count) == (sender, number)
    pair.up()
    pair.advance(8)
    assert len(pair.got("client", EspUp)) == len(pair.got("gateway", EspUp)) == 1


def test_every_datagram_twice_changes_nothing(make_pair: MakePair, way: Way) -> None:
    pair = make_pair(*way)
    pair.client.start(pair.now)
    datagrams = 0
    for _ in range(12):
        for sender, receiver in ((pair.client, pair.gateway), (pair.gateway, pair.client)):
            for datagram in sender.take_datagrams():
                payload = datagram.payload[4:] if datagram.dport == 4500 else datagram.payload
                receiver.receive(pair.now, payload, datagram.dport)
                receiver.receive(pair.now, payload, datagram.dport)
                datagrams += 1
    assert datagrams < 30
    for core in (pair.client, pair.gateway):
        assert [type(event) for event in core.take_events()] == [IkeUp, EspUp]
        assert core.take_datagrams() == []


# Aggressive mode


def test_aggressive_mode_is_three_messages_and_floats_with_the_third(make_pair: MakePair) -> None:
    pair = make_pair(*AGGRESSIVE).up()
    client = pair.sent["client"]
    phase_1 = [d for d in client if (d.payload[4:] if d.sport == 4500 else d.payload)[18] == registry.EXCHANGE_AGGRESSIVE]
    assert [(d.sport, d.dport) for d in phase_1] == [(500, 500), (4500, 4500)]
    assert phase_1[1].payload[4 + 19] & registry.FLAG_ENCRYPTION
    assert [d.sport for d in pair.sent["gateway"]] == [500, 4500]


def test_aggressive_mode_without_a_nat_stays_on_500(make_pair: MakePair) -> None:
    pair = make_pair(AGGRESSIVE[0], {**AGGRESSIVE[1], "peer_address": "10.0.0.2"}).up()
    assert {d.sport for d in pair.sent["client"] + pair.sent["gateway"]} == {500}
    assert pair.got("gateway", EspUp)[0].encapsulation == "transport"


def test_aggressive_mode_is_only_taken_where_it_is_accepted(make_pair: MakePair) -> None:
    pair = make_pair(AGGRESSIVE[0]).up()
    assert set(reasons(pair, "gateway")) == {"aggressive mode is not accepted here"}
    assert pair.gateway._all.main == []
    pair.advance(10)
    (failed,) = pair.got("client", Failed)
    assert (failed.stage, failed.reason) == ("main mode", "no answer to AM1 after 3 tries")


def test_aggressive_mode_offers_the_first_group_only(make_pair: MakePair) -> None:
    kinds = ("aes-256", "sha1", "modp1024"), ("aes-128", "sha1", "ecp256"), ("3des", "md5", "modp1024")
    rows = tuple(IkeProposal(*kind) for kind in kinds)
    pair = make_pair({**AGGRESSIVE[0], "proposals": rows}, {**AGGRESSIVE[1], "proposals": rows[1:]}).up()
    am1 = read_payloads(registry.SA, pair.sent["client"][0].payload, 28)
    (offered,) = read_sa(PHASE_1, am1[0].body)
    assert [dict(transform.attributes)["group"] for transform in offered.transforms] == ["modp1024", "modp1024"]
    (up,) = pair.got("gateway", IkeUp)
    assert (up.encryption, up.hash, up.group) == ("3des", "md5", "modp1024")
    pair = make_pair({**AGGRESSIVE[0], "proposals": rows}, {**AGGRESSIVE[1], "proposals": rows[1:2]}).up()
    pair.advance(2)
    assert pair.got("client", Failed)[0].reason == "NO_PROPOSAL_CHOSEN from the peer"


def test_a_responder_of_aggressive_mode_chooses_by_the_public_value_that_came(make_pair: MakePair) -> None:
    """Some offer several groups all the same."""
    rows = IkeProposal("aes-256", "sha1", "modp2048"), IkeProposal("aes-256", "sha1", "modp1024")
    pair = make_pair({**AGGRESSIVE[0], "proposals": rows[1:]}, {**AGGRESSIVE[1], "proposals": rows})
    pair.client.start(pair.now)
    (am1,) = pair.client.take_datagrams()
    payloads = [(payload.type, payload.body) for payload in read_payloads(registry.SA, am1.payload, 28)]
    first, chain = write_payloads([(registry.SA, ike_offer(rows)), *payloads[1:]])
    pair.gateway.receive(pair.now, write_message(read_header(am1.payload)._replace(first=first), chain), 500)
    (am2,) = pair.gateway.take_datagrams()
    (chosen,) = read_sa(PHASE_1, read_payloads(registry.SA, am2.payload, 28)[0].body)
    assert dict(chosen.transforms[0].attributes)["group"] == "modp1024"


def test_nat_d_in_am3_may_be_over_the_port_that_the_exchange_began_on(make_pair: MakePair) -> None:
    pair = make_pair(*AGGRESSIVE)
    pair.client.start(pair.now)
    (run,) = pair.client._all.main
    ends = run._ends()
    assert (ends.local_port, ends.remote_port) == (500, 500)
    run._ends = lambda: ends
    pair.pump()
    (up,) = pair.got("gateway", IkeUp)
    assert (up.nat_local, up.nat_remote) == (False, True)


def test_one_exchange_is_not_continued_by_another(make_pair: MakePair) -> None:
    pair = make_pair()
    pair.client.start(pair.now)
    (mm1,) = pair.client.take_datagrams()
    pair.gateway.receive(pair.now, mm1.payload, 500)
    (mm2,) = pair.gateway.take_datagrams()
    header = read_header(mm2.payload)
    pair.client.receive(pair.now, write_message(header._replace(exchange=registry.EXCHANGE_AGGRESSIVE), mm2.payload[28:]), 500)
    assert [event.reason for event in pair.client.take_events()] == ["aggressive mode with the cookies of another exchange"]


def test_a_wrong_key_is_found_by_the_initiator_of_aggressive_mode(make_pair: MakePair) -> None:
    pair = make_pair({**AGGRESSIVE[0], "psk": b"wrong"}, AGGRESSIVE[1]).up()
    pair.advance(10)
    assert set(reasons(pair, "client")) == {"the HASH of AM2 does not match: the pre-shared keys differ"}
    (failed,) = pair.got("client", Failed)
    assert "no answer to AM1 after 3 tries; AM2 was refused: the HASH of AM2 does not match" in failed.reason
    assert pair.got("gateway", IkeUp) == []
    assert pair.gateway._all.main == []


def test_a_forged_am2_leaves_room_for_the_real_one(make_pair: MakePair) -> None:
    """It bears a cookie of its own, and a public value: neither may stay."""
    pair, forger = make_pair(*AGGRESSIVE), make_pair(*AGGRESSIVE, seed=7)
    forger.gateway.config = replace(forger.gateway.config, psk=b"guess")
    forger.gateway._all.config = forger.gateway.config
    pair.client.start(pair.now)
    (am1,) = pair.client.take_datagrams()
    for gateway in (forger.gateway, pair.gateway):
        gateway.receive(pair.now, am1.payload, 500)
        (am2,) = gateway.take_datagrams()
        pair.client.receive(pair.now, am2.payload, 500)
    assert [type(event) for event in pair.client.take_events()] == [Refused, IkeUp]


# Whose key


def test_a_responder_finds_the_key_by_the_peers_address_in_main_mode(make_pair: MakePair) -> None:
    keys = {"203.0.113.232": b"sharedsecret"}
    assert len(make_pair(gateway={"psk": b"", "psk_for": keys.get}).up().got("gateway", IkeUp)) == 1
    pair = make_pair(gateway={"psk_for": {}.get}).up()
    assert "there is no pre-shared key for 203.0.113.232" in reasons(pair, "gateway")[0]


def test_a_responder_finds_the_key_by_the_id_in_aggressive_mode(make_pair: MakePair) -> None:
    keys = {"laptop.example.com": b"sharedsecret", "10.0.0.2": b"sharedsecret"}
    for identity in ("fqdn:laptop.example.com", "address"):
        pair = make_pair({**AGGRESSIVE[0], "identity": identity}, {**AGGRESSIVE[1], "psk": b"", "psk_for": keys.get}).up()
        assert len(pair.got("gateway", IkeUp)) == 1
    pair = make_pair({**AGGRESSIVE[0], "identity": "fqdn:who"}, {**AGGRESSIVE[1], "psk_for": keys.get}).up()
    assert "there is no pre-shared key for who" in reasons(pair, "gateway")[0]


# Signatures


@pytest.mark.parametrize("identity", ["address", "fqdn:laptop.example.com", "user-fqdn:me@example.com", "dn"])
@pytest.mark.parametrize("exchange", ["main", "aggressive"])
def test_ids_that_a_certificate_vouches_for(make_pair: MakePair, identity: str, exchange: str) -> None:
    own = pki.credentials("laptop", "10.0.0.2", "LAPTOP.example.com", "Me@Example.com")
    client = {**SIGNED[0], "credentials": own, "identity": identity, "exchange": exchange}
    pair = make_pair(client, {**SIGNED[1], "accept_aggressive": True}).up()
    assert len(pair.got("gateway", IkeUp)) == len(pair.got("client", IkeUp)) == 1


@pytest.mark.parametrize("identity", ["address", "fqdn:other.example.com", "user-fqdn:me@example.com"])
def test_ids_that_it_does_not_vouch_for(make_pair: MakePair, identity: str) -> None:
    pair = make_pair({**SIGNED[0], "identity": identity}, SIGNED[1]).up()
    assert "the certificate of CN=laptop,O=Test does not vouch for the ID" in reasons(pair, "gateway")[0]
    pair.advance(10)
    (failed,) = pair.got("client", Failed)
    assert failed.reason == "no answer to MM5 after 3 tries, the usual sign that the peer does not take our certificate"


def wrong(fields: dict[str, Any], **changes: Any) -> dict[str, Any]:
    old: Credentials = fields["credentials"]
    return {**fields, "credentials": replace(old, **changes)}


@pytest.mark.parametrize("exchange", ["main", "aggressive"])
def test_certificates_and_signatures_that_are_refused(make_pair: MakePair, exchange: str) -> None:
    stranger = pki.certificate("laptop", "another", pki.alternative("laptop.example.com"))
    cases = {
        "comes from CN=another,O=Test, which nobody here trusts": {"chain": (stranger,)},
        "the peer sent no certificate": {"chain": ()},
        "the signature is not that of the certificate's key": {"key": pki.key("gateway")},
    }
    for reason, changes in cases.items():
        client = {**wrong(SIGNED[0], **changes), "exchange": exchange}
        pair = make_pair(client, {**SIGNED[1], "accept_aggressive": True}).up()
        assert reason in reasons(pair, "gateway")[0]
        assert pair.got("gateway", IkeUp) == []
    late = wrong(SIGNED[1], date=lambda now: pki.UNTIL + timedelta(days=1))
    pair = make_pair({**SIGNED[0], "exchange": exchange}, {**late, "accept_aggressive": True}).up()
    assert "has expired" in reasons(pair, "gateway")[0]


def test_a_gateway_with_both_takes_what_comes_first(make_pair: MakePair) -> None:
    both = (SIGNED[1]["proposals"][0], IkeProposal("aes-256", "sha1", "ecp256"))
    for client, proof in (({}, "psk"), (SIGNED[0], "rsa")):
        (up,) = make_pair(client, {**SIGNED[1], "proposals": both}).up().got("gateway", IkeUp)
        assert up.authentication == proof


def test_signatures_need_credentials() -> None:
    with pytest.raises(ValueError, match="needs credentials"):
        IkeConfig("10.0.0.2", "10.0.0.3", b"", (IkeProposal("3des", "sha1", "modp1024", authentication="rsa"),), (), ())
    with pytest.raises(ValueError, match="needs credentials"):
        IkeConfig("10.0.0.2", "10.0.0.3", b"", (), (), (), identity="dn")


# INITIAL-CONTACT


def test_initial_contact_comes_with_the_first_sa_only(make_pair: MakePair, way: Way) -> None:
    pair = make_pair({**way[0], "initial_contact": True}, way[1]).up()
    assert [type(event) for event in pair.events["gateway"] if not isinstance(event, EspUp)] == [IkeUp, InitialContact]
    assert pair.got("client", InitialContact) == []
    pair.client.rekey_ike(pair.now)
    pair.pump()
    pair.advance(20)
    assert len(pair.got("gateway", IkeUp)) == 2
    assert len(pair.got("gateway", InitialContact)) == 1


def test_a_responder_may_say_it_too(make_pair: MakePair, way: Way) -> None:
    pair = make_pair(way[0], {**way[1], "initial_contact": True}).up()
    (event,) = pair.got("client", InitialContact)
    assert (event.name, event.protected) == ("INITIAL_CONTACT", True)
    assert pair.got("gateway", InitialContact) == []


def test_after_a_loss_of_all_it_is_said_again(make_pair: MakePair) -> None:
    pair = make_pair({"initial_contact": True}).up()
    pair.client.close(pair.now)
    pair.pump()
    pair.client.start(pair.now)
    pair.pump()
    assert len(pair.got("gateway", InitialContact)) == 2


def test_in_the_clear_it_is_not_believed(make_pair: MakePair) -> None:
    pair = make_pair().up()
    (sa,) = pair.gateway._all.sas
    body = Notification(registry.PROTO_ISAKMP, registry.INITIAL_CONTACT, sa.cookies, b"").write()
    first, chain = write_payloads([(registry.NOTIFY, body)])
    pair.gateway.receive(pair.now, write_message(Header(sa.icookie, sa.rcookie, first, 5, 0, 9), chain), 4500)
    (event,) = pair.gateway.take_events()
    assert type(event) is Notified
    assert not event.protected


# Lifetimes


def test_the_shorter_lifetimes_hold(make_pair: MakePair) -> None:
    ours, theirs = IkeProposal("aes-256", "sha1", "ecp256", 7200, 500), IkeProposal("aes-256", "sha1", "ecp256", 3600, 900)
    pair = make_pair({"proposals": (ours,)}, {"proposals": (theirs,)}).up()
    (up,) = pair.got("gateway", IkeUp)
    assert (up.lifetime_s, up.lifetime_kb) == (3600, 500)
    assert (pair.got("client", IkeUp)[0].lifetime_s, pair.got("client", IkeUp)[0].lifetime_kb) == (7200, 500)


def test_no_lifetime_at_all_is_eight_hours(make_pair: MakePair) -> None:
    bare = {"proposals": (IkeProposal("aes-256", "sha1", "ecp256", 0),)}
    pair = make_pair(bare, bare).up()
    assert pair.got("client", IkeUp)[0].lifetime_s == pair.got("gateway", IkeUp)[0].lifetime_s == 28800


def test_an_isakmp_sa_that_has_protected_its_kilobytes_is_rekeyed_in_time(make_pair: MakePair) -> None:
    short = {"proposals": (IkeProposal("aes-256", "sha1", "ecp256", 28800, 2),)}
    pair = make_pair({**short, "dpd_s": 1.0, "keepalive_s": 1000.0}, short).up()
    pair.advance(60)
    ups = pair.got("client", IkeUp)
    assert len(ups) > 1
    assert all(up.rekey for up in ups[1:])
    assert {down.reason for down in pair.got("client", IkeDown)} == {"replaced by a newer one"}
    assert pair.got("client", EspDown) == []


def test_both_sides_count_the_same_bytes(make_pair: MakePair) -> None:
    pair = make_pair({"dpd_s": 5.0, "keepalive_s": 1000.0}).up()
    pair.client.rekey_ipsec(pair.now)
    pair.pump()
    pair.advance(31)
    (ours,), (theirs,) = pair.client._all.sas, pair.gateway._all.sas
    # Of phase 1 itself the last message is in the count of its sender alone, and so is the one before.
    phase_1 = [len(sent[2].payload) - 28 - 4 for sent in (pair.sent["client"], pair.sent["gateway"])]
    assert ours.keys.usage.octets - phase_1[0] == theirs.keys.usage.octets - phase_1[1] > 500


def test_who_does_not_rekey_loses_the_sa_at_its_kilobytes(make_pair: MakePair) -> None:
    short = {"proposals": (IkeProposal("aes-256", "sha1", "ecp256", 28800, 2),), "rekey_margin": None}
    pair = make_pair({**short, "dpd_s": 1.0, "keepalive_s": 1000.0}, short).up()
    pair.advance(60)
    downs = pair.got("client", IkeDown) + pair.got("gateway", IkeDown)
    assert "its lifetime of 2 kB has ended" in {down.reason for down in downs}
    assert len(pair.got("client", IkeUp)) == 1


def test_replayed_messages_do_not_use_a_lifetime_up(make_pair: MakePair) -> None:
    pair = make_pair().up()
    (sa,) = pair.gateway._all.sas
    used = sa.keys.usage.octets
    assert used > 0
    for datagram in pair.sent["client"] * 50:
        payload = datagram.payload[4:] if datagram.dport == 4500 else datagram.payload
        pair.gateway.receive(pair.now, payload, datagram.dport)
        pair.gateway.receive(pair.now, payload[:-1] + b"!", datagram.dport)
    assert sa.keys.usage.octets == used


# NAT


@pytest.mark.parametrize("aggressive", [False, True])
def test_a_port_that_a_nat_has_changed_is_a_nat(make_pair: MakePair, aggressive: bool) -> None:
    """The addresses are the same on both sides: only the source port tells."""
    client, gateway = AGGRESSIVE if aggressive else ({}, {})
    pair = make_pair(client, {**gateway, "peer_address": "10.0.0.2"})
    pair.seen_port["client"] = 61000
    pair.up()
    (ours,), (theirs,) = pair.got("client", IkeUp), pair.got("gateway", IkeUp)
    assert (ours.nat_local, ours.nat_remote, theirs.nat_local, theirs.nat_remote) == (True, False, False, True)
    assert pair.got("client", EspUp)[0].encapsulation == "udp-transport"


def test_a_nat_that_comes_in_mid_life_shows_at_the_next_main_mode(make_pair: MakePair, way: Way) -> None:
    pair = make_pair(way[0], {**way[1], "peer_address": "10.0.0.2"}).up()
    assert {d.sport for d in pair.sent["client"]} == {500}
    pair.gateway._all.config = replace(pair.gateway._all.config, peer_address="203.0.113.232")
    pair.client.rekey_ike(pair.now)
    pair.pump()
    assert [up.nat_local for up in pair.got("client", IkeUp)] == [False, True]
    pair.client.rekey_ipsec(pair.now)
    pair.pump()
    assert pair.got("client", EspUp)[-1].encapsulation == "udp-transport"
    pair.forget()
    pair.advance(45)
    assert registry.KEEPALIVE in [d.payload for d in pair.sent["client"]]


def test_a_nat_that_goes_in_mid_life(make_pair: MakePair, way: Way) -> None:
    pair = make_pair(*way).up()
    pair.gateway._all.config = replace(pair.gateway._all.config, peer_address="10.0.0.2")
    pair.client.rekey_ike(pair.now)
    pair.pump()
    assert [up.nat_local for up in pair.got("client", IkeUp)] == [True, False]
    pair.client.rekey_ipsec(pair.now)
    pair.pump()
    assert pair.got("client", EspUp)[-1].encapsulation == "transport"


@pytest.mark.parametrize("silent", ["client", "gateway"])
def test_one_side_without_nat_t_gives_no_nat_d_at_all(make_pair: MakePair, way: Way, silent: str) -> None:
    """NTT-02: no NAT-D, no float, no UDP encapsulation, NAT or not."""
    bare = {"vendor_ids": (registry.DPD_VENDOR_ID,)}
    client, gateway = ({**way[0], **bare}, way[1]) if silent == "client" else (way[0], {**way[1], **bare})
    pair = make_pair(client, gateway).up()
    (ours,), (theirs,) = pair.got("client", IkeUp), pair.got("gateway", IkeUp)
    assert not any((ours.nat_local, ours.nat_remote, theirs.nat_local, theirs.nat_remote))
    assert {d.sport for d in pair.sent["client"] + pair.sent["gateway"]} == {500}
    assert pair.got("client", EspUp)[0].encapsulation == "transport"
    assert pair.client._all.sas[0].natt is None


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda row: row.name)
def test_every_dialect(make_pair: MakePair, way: Way, dialect: Any) -> None:
    """Windows 2000 and XP announce draft-02 alone."""
    only = {"vendor_ids": (dialect.vendor_id,)}
    pair = make_pair({**way[0], **only}, way[1] | {"vendor_ids": tuple(row.vendor_id for row in DIALECTS)}).up()
    assert pair.sent["client"][-1].sport == 4500
    assert pair.got("gateway", EspUp)[0].encapsulation == "udp-transport"
    family = "rfc" if dialect.name == "RFC 3947" else "draft"
    assert pair.client._all.sas[0].natt == pair.gateway._all.sas[0].natt == family
