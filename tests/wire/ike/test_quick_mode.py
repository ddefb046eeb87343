"""Quick mode beyond the plain case, in both roles: PFS, encapsulations, AH, NAT-OA, lifetimes in seconds and in kilobytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from harness.wire.config import AhProposal, EspProposal
from harness.wire.crypto.dh import GROUPS
from harness.wire.events import EspDown, EspUp, Failed, Notified, Refused, RekeyFailed
from harness.wire.ike import registry
from harness.wire.ike.association import OVERLAP_S
from harness.wire.ike.natt import DIALECTS

MakePair = Callable[..., Any]
OPEN = {"peer_address": "10.0.0.2"}  # a gateway that sees the client as it is
DRAFT = {"vendor_ids": (DIALECTS[1].vendor_id,)}


def ups(pair: Any) -> tuple[EspUp, EspUp]:
    """The newest pair, as both sides see it."""
    client, gateway = pair.got("client", EspUp)[-1], pair.got("gateway", EspUp)[-1]
    assert (client.spi_in, client.key_in, client.auth_key_in) == (gateway.spi_out, gateway.key_out, gateway.auth_key_out)
    assert (client.spi_out, client.key_out, client.auth_key_out) == (gateway.spi_in, gateway.key_in, gateway.auth_key_in)
    return client, gateway


@pytest.mark.parametrize("group", GROUPS)
def test_pfs_in_every_group(make_pair: MakePair, group: str) -> None:
    plain, with_pfs = make_pair().up(), make_pair({"pfs": group}).up()
    client, _ = ups(with_pfs)
    assert client.key_in != ups(plain)[0].key_in
    for end, qm in (("client", -2), ("gateway", -1)):
        assert len(with_pfs.sent[end][qm].payload) >= len(plain.sent[end][qm].payload) + GROUPS[group].public_size


def test_pfs_makes_each_pairs_keys_depend_on_a_secret_of_its_own(make_pair: MakePair) -> None:
    """The same nonces and SPIs with another exchange give other keys; without PFS they are the same."""
    keys = set()
    for seed in (1, 2):
        pair = make_pair({"pfs": "ecp256"}, {"pfs": "ecp256"}, seed=seed).up()
        pair.client.rekey_ipsec(pair.now)
        pair.pump()
        keys |= {up.key_in for up in pair.got("client", EspUp)}
        ups(pair)
    assert len(keys) == 4


@pytest.mark.parametrize(
    ("client", "gateway", "why"),
    [
        ({}, {"pfs": "modp1024"}, "PFS group none where modp1024 is wanted"),
        ({"pfs": "modp2048"}, {"pfs": "modp1024"}, "PFS group modp2048 where modp1024 is wanted"),
        ({"mode": "tunnel"}, {}, "udp-tunnel where udp-transport is wanted"),
        ({}, {"mode": "tunnel"}, "udp-transport where udp-tunnel is wanted"),
        ({"esp_proposals": (), "ah_proposals": (AhProposal("sha1"),)}, {}, "AH cannot pass the NAT on the way"),
    ],
)
def test_what_the_responder_does_not_want_is_refused_in_words(
    make_pair: MakePair, client: dict[str, Any], gateway: dict[str, Any], why: str
) -> None:
    pair = make_pair(client, gateway).up()
    (failed,) = pair.got("client", Failed)
    assert (failed.stage, failed.reason) == ("quick mode", "NO_PROPOSAL_CHOSEN from the peer")
    assert any(why in refused.reason for refused in pair.got("gateway", Refused))


@pytest.mark.parametrize(
    ("nat", "mode", "vendors", "encapsulation", "told"),
    [
        (True, "transport", {}, "udp-transport", ("10.0.0.2", "203.0.113.231")),
        (True, "transport", DRAFT, "udp-transport", ("10.0.0.2", "203.0.113.231")),
        (True, "tunnel", {}, "udp-tunnel", ()),
        (True, "tunnel", DRAFT, "udp-tunnel", ()),
        (False, "transport", {}, "transport", ()),
        (False, "tunnel", {}, "tunnel", ()),
    ],
)
def test_encapsulations_and_original_addresses(
    make_pair: MakePair, nat: bool, mode: str, vendors: dict[str, Any], encapsulation: str, told: tuple[str, ...]
) -> None:
    """RFC 3947 §5.2: original addresses go with UDP encapsulation in transport mode only; the responder learns the client's own."""
    pair = make_pair({"mode": mode, **vendors}, {"mode": mode, **vendors, **({} if nat else OPEN)}).up()
    client, gateway = ups(pair)
    assert (client.encapsulation, gateway.encapsulation) == (encapsulation, encapsulation)
    assert gateway.nat_oa == told
    assert client.nat_oa == (("203.0.113.232", "203.0.113.231") if told else ())


# AH


def test_ah_where_both_sides_are_configured_for_it_and_there_is_no_nat(make_pair: MakePair) -> None:
    ah = {"esp_proposals": (), "ah_proposals": (AhProposal("md5"), AhProposal("sha256"))}
    pair = make_pair(ah, {**ah, **OPEN, "ah_proposals": (AhProposal("sha256"),)}).up()
    client, _ = ups(pair)
    assert (client.protocol, client.encryption, client.authentication, client.encapsulation) == ("ah", "", "sha256", "transport")
    assert (len(client.key_in), len(client.auth_key_in)) == (0, 32)
    pair.client.delete_ipsec(pair.now)
    pair.pump()
    assert [(down.spi_in, down.by_peer) for down in pair.got("gateway", EspDown)] == [(client.spi_out, True)]


def test_esp_is_taken_where_ah_is_offered_beside_it(make_pair: MakePair) -> None:
    pair = make_pair({"ah_proposals": (AhProposal("sha1"),)}).up()
    assert ups(pair)[0].protocol == "esp"


def test_ah_without_configuration_is_refused(make_pair: MakePair) -> None:
    pair = make_pair({"esp_proposals": (), "ah_proposals": (AhProposal("sha1"),)}, OPEN).up()
    assert pair.got("client", Failed)
    assert any("AH is not configured" in refused.reason for refused in pair.got("gateway", Refused))


# Lifetimes


def esp(lifetime_s: int, lifetime_kb: int) -> dict[str, Any]:
    return {"esp_proposals": (EspProposal("aes-256", "sha1", lifetime_s, lifetime_kb),)}


def test_a_responder_tells_its_lower_limits_and_the_initiator_keeps_them(make_pair: MakePair) -> None:
    pair = make_pair(esp(3600, 1000), esp(1200, 400)).up()
    client, gateway = ups(pair)
    assert (client.lifetime_s, client.lifetime_kb) == (gateway.lifetime_s, gateway.lifetime_kb) == (1200, 400)
    (notified,) = pair.got("client", Notified)
    assert (notified.type, notified.protected) == (registry.RESPONDER_LIFETIME, True)


def test_a_responder_with_higher_limits_says_nothing(make_pair: MakePair) -> None:
    pair = make_pair(esp(1200, 400), esp(3600, 1000)).up()
    client, gateway = ups(pair)
    assert (client.lifetime_s, client.lifetime_kb) == (gateway.lifetime_s, gateway.lifetime_kb) == (1200, 400)
    assert pair.got("client", Notified) == []


def test_without_any_limit_the_default_of_the_doi_holds(make_pair: MakePair) -> None:
    pair = make_pair(esp(0, 0), esp(0, 0)).up()
    assert [up.lifetime_s for up in ups(pair)] == [28800, 28800]
    assert pair.got("client", EspDown) == []


def test_the_soft_limit_in_kilobytes_starts_one_rekey(make_pair: MakePair) -> None:
    pair = make_pair({**esp(3600, 100), "rekey_margin": 0.5}).up()
    old, _ = ups(pair)
    assert not pair.client.spend(pair.now, old.spi_in, 50 * 1024 - 1)
    assert pair.client.spend(pair.now, old.spi_in, 50 * 1024)
    assert not pair.client.spend(pair.now, old.spi_in, 50 * 1024 + 1)
    pair.advance(1)
    new, _ = ups(pair)
    assert new.rekey
    pair.advance(OVERLAP_S)
    assert [down.spi_in for down in pair.got("client", EspDown)] == [old.spi_in]


def test_the_responder_renews_what_the_initiator_does_not(make_pair: MakePair) -> None:
    """Half-way between the initiator's margin and the end, in bytes and in seconds."""
    limits = esp(1000, 100)
    pair = make_pair({**limits, "rekey_margin": None}, {**limits, "rekey_margin": 0.5}).up()
    _, old = ups(pair)
    assert not pair.gateway.spend(pair.now, old.spi_in, 75 * 1024 - 1)
    assert pair.gateway.spend(pair.now, old.spi_in, 75 * 1024)
    pair.advance(1)
    assert len(pair.got("gateway", EspUp)) == 2
    pair = make_pair({**limits, "rekey_margin": None}, {**limits, "rekey_margin": 0.5}).up()
    pair.advance(740)
    assert len(pair.got("gateway", EspUp)) == 1
    pair.advance(20)
    assert len(pair.got("gateway", EspUp)) == 2
    ups(pair)


@pytest.mark.parametrize("end", ["client", "gateway"])
def test_the_hard_limit_in_kilobytes_ends_the_pair_in_either_role(make_pair: MakePair, end: str) -> None:
    limits = {**esp(3600, 100), "rekey_margin": None}
    pair = make_pair(limits, limits).up()
    client, gateway = ups(pair)
    core, own = (pair.client, client) if end == "client" else (pair.gateway, gateway)
    assert not core.spend(pair.now, own.spi_in, 100 * 1024 - 1)
    assert core.spend(pair.now, own.spi_in, 100 * 1024)
    pair.advance(1)
    (down,) = pair.got(end, EspDown)
    assert (down.spi_in, down.reason) == (own.spi_in, "its lifetime of 100 kB has ended")
    other = "gateway" if end == "client" else "client"
    assert [one.by_peer for one in pair.got(other, EspDown)] == [True]


def test_no_limit_in_kilobytes_is_no_limit(make_pair: MakePair) -> None:
    pair = make_pair(esp(3600, 0), esp(3600, 0)).up()
    assert not pair.client.spend(pair.now, ups(pair)[0].spi_in, 1 << 60)


def test_bytes_of_an_unknown_sa_are_nobodys(make_pair: MakePair) -> None:
    assert not make_pair().up().client.spend(100.0, 1, 1 << 60)


def test_a_rekey_by_kilobytes_that_fails_is_tried_again_after_a_while_not_at_once(make_pair: MakePair) -> None:
    pair = make_pair({**esp(3600, 100), "rekey_margin": 0.5}).up()
    old, _ = ups(pair)
    pair.drop = lambda sender, number: True
    assert pair.client.spend(pair.now, old.spi_in, 60 * 1024)
    pair.advance(8)
    assert len(pair.got("client", RekeyFailed)) == 1
    assert not pair.client.spend(pair.now, old.spi_in, 70 * 1024)
    pair.drop = lambda sender, number: False
    pair.advance(12)
    assert len(pair.got("client", EspUp)) == 2
