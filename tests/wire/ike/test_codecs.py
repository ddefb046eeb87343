"""Codecs: what is written is read back, no bytes raise anything but ProtocolError, and reading is linear."""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import ProtocolError
from harness.wire.buffer import Reader
from harness.wire.config import AhProposal, EspProposal, IkeProposal
from harness.wire.ike import registry
from harness.wire.ike.attributes import PHASE_1, PHASE_2, AttributeTable, lifetimes, read_attributes, write_attributes
from harness.wire.ike.message import MAX_PAYLOADS, Header, every, only, read_header, read_payloads, write_message, write_payloads
from harness.wire.ike.payloads import Deletion, Identification, Notification, read_nat_oa, write_nat_oa
from harness.wire.ike.proposals import (
    MAX_TRANSFORMS,
    Proposal,
    Transform,
    ike_choice,
    ike_offer,
    read_sa,
    shorter,
    write_sa,
)
from harness.wire.ike.quick_mode_proposals import AH_TRANSFORMS, ESP_TRANSFORMS, Row, Terms, choose, offer, why_none


def terms(*rows: Row, **changes: object) -> Terms:
    return replace(Terms(rows, "udp-transport", nat=True, pfs=None, strict=False), **changes)  # type: ignore[arg-type]


KINDS = sorted(registry.PAYLOADS)
BODIES = st.binary(max_size=60)


def sa_attributes(table: AttributeTable, data: bytes) -> None:
    lifetimes(read_attributes(table, Reader("ike", data)))


READERS: dict[str, Callable[[bytes], object]] = {
    "header": read_header,
    "payloads": lambda data: read_payloads(registry.SA, data),
    "SA of phase 1": lambda data: read_sa(PHASE_1, data),
    "SA of phase 2": lambda data: read_sa(PHASE_2, data),
    "attributes of phase 1": lambda data: sa_attributes(PHASE_1, data),
    "attributes of phase 2": lambda data: sa_attributes(PHASE_2, data),
    "ID": Identification.read,
    "N": Notification.read,
    "D": Deletion.read,
    "NAT-OA": read_nat_oa,
}
GOOD: dict[str, bytes] = {
    "header": write_message(Header(b"12345678", bytes(8), 1, 2, 0, 0), b"abcd"),
    "payloads": write_payloads([(registry.SA, b"abc"), (registry.NONCE, b"n" * 32), (registry.VENDOR_ID, b"")])[1],
    "SA of phase 1": ike_offer((IkeProposal("aes-256", "sha1", "ecp384"), IkeProposal("3des", "sha1", "modp1024"))),
    "SA of phase 2": offer(terms(EspProposal("aes-256", "sha1"), EspProposal("3des", "sha1"), AhProposal("sha1")), b"\1\2\3\4"),
    "attributes of phase 1": write_attributes(PHASE_1, [("encryption", "aes"), ("life type", "seconds"), ("life duration", 28800)]),
    "attributes of phase 2": write_attributes(PHASE_2, [("group", 14), ("life type", "kilobytes"), ("life duration", 250000)]),
    "ID": Identification.of_address("10.0.0.2", 17, 1701).write(),
    "N": Notification(1, registry.R_U_THERE, bytes(16), bytes(4)).write(),
    "D": Deletion(registry.PROTO_ESP, (b"abcd", b"efgh")).write(),
    "NAT-OA": write_nat_oa("10.0.0.2"),
}


@pytest.mark.parametrize("what", READERS)
def test_the_good_one_is_read(what: str) -> None:
    READERS[what](GOOD[what])


@pytest.mark.parametrize("what", READERS)
@given(data=st.binary(max_size=300))
def test_any_bytes(what: str, data: bytes) -> None:
    with suppress(ProtocolError):
        READERS[what](data)


@pytest.mark.parametrize("what", READERS)
@given(data=st.data())
@settings(max_examples=200)
def test_a_good_one_with_some_bytes_changed(what: str, data: st.DataObject) -> None:
    changed = bytearray(GOOD[what])
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(changed)))
    for candidate in (bytes(changed), bytes(changed[:cut]), bytes(changed) + b"\0\0"):
        with suppress(ProtocolError):
            READERS[what](candidate)


@given(st.lists(st.tuples(st.sampled_from(KINDS), BODIES), max_size=MAX_PAYLOADS), st.integers(0, 15))
def test_payload_chains_come_back(chain: list[tuple[int, bytes]], padding: int) -> None:
    first, data = write_payloads(chain)
    assert [(p.type, p.body) for p in read_payloads(first, data + bytes(padding))] == chain


@given(st.binary(min_size=8, max_size=8), st.binary(min_size=8, max_size=8), st.integers(0, 2**32 - 1), BODIES)
def test_headers_come_back(icookie: bytes, rcookie: bytes, message_id: int, body: bytes) -> None:
    header = Header(icookie, rcookie, registry.SA, registry.EXCHANGE_QUICK, registry.FLAG_ENCRYPTION, message_id)
    data = write_message(header, body)
    if icookie == bytes(8):
        with pytest.raises(ProtocolError):
            read_header(data)
    else:
        assert read_header(data) == header
        assert read_header(data).encrypted


def attribute_strategy(table: AttributeTable) -> st.SearchStrategy[tuple[str, str | int]]:
    def value(row: Any) -> st.SearchStrategy[tuple[str, str | int]]:
        named = [st.just((row.name, name)) for name in row.values]
        plain = st.tuples(st.just(row.name), st.integers(0, 2**32 - 1 if row.long else 2**16 - 1))
        return st.one_of(*named) if named else plain

    return st.one_of(*(value(row) for row in table.rows))


@pytest.mark.parametrize("table", [PHASE_1, PHASE_2], ids=lambda table: table.phase)
@given(data=st.data())
def test_attributes_and_sas_come_back(table: AttributeTable, data: st.DataObject) -> None:
    attributes = st.lists(attribute_strategy(table), max_size=8).map(tuple)
    byte = st.integers(0, 255)
    transforms = st.lists(st.builds(Transform, byte, byte, attributes), min_size=1, max_size=5).map(tuple)
    proposals = data.draw(
        st.lists(st.builds(Proposal, byte, st.sampled_from([1, 2, 3]), BODIES, transforms), min_size=1, max_size=4)
    )
    assert read_sa(table, write_sa(table, proposals)) == proposals


def test_both_forms_of_an_attribute_are_read() -> None:
    """RFC 2409 App. A: a variable attribute may come in the basic form if its value fits, as strongSwan sends lifetimes."""
    short = struct.pack(">HHHH", 0x800B, 1, 0x800C, 28800)
    long = struct.pack(">HHHHI", 0x800B, 1, 12, 4, 28800)
    for data in (short, long):
        assert lifetimes(read_attributes(PHASE_1, Reader("ike", data))) == {"seconds": 28800}


def test_windows_7_writes_attributes_like_this() -> None:
    """AES-256, SHA-1, group 20, PSK, 28800 s in four bytes: as in public dumps of a Windows 7 main mode."""
    body = ike_offer((IkeProposal("aes-256", "sha1", "ecp384"),))
    assert body.endswith(bytes.fromhex("80010007800e01008002000280040014800300" + "01800b0001000c000400007080"))


@given(st.integers(0, 255), st.integers(0, 65535), st.binary(min_size=4, max_size=4))
def test_bodies_come_back(protocol: int, number: int, value: bytes) -> None:
    identity = Identification(registry.ID_IPV4_ADDR, protocol, number, value)
    assert Identification.read(identity.write()) == identity
    notification = Notification(protocol, number, value * 4, value)
    assert Notification.read(notification.write()) == notification
    deletion = Deletion(registry.PROTO_ESP, (value, value))
    assert Deletion.read(deletion.write()) == deletion
    address = ".".join(map(str, value))
    assert read_nat_oa(write_nat_oa(address)) == address


def test_only_one() -> None:
    payloads = read_payloads(*write_payloads([(registry.NONCE, b"a"), (registry.VENDOR_ID, b"b"), (registry.VENDOR_ID, b"c")]))
    assert only(payloads, registry.NONCE, "MM3") == b"a"
    assert every(payloads, registry.VENDOR_ID) == [b"b", b"c"]
    for kind in (registry.KE, registry.VENDOR_ID):
        with pytest.raises(ProtocolError, match="MM3"):
            only(payloads, kind, "MM3")


def test_choice_takes_the_peers_first_that_we_know() -> None:
    weak, strong = IkeProposal("3des", "sha1", "modp1024", 3600), IkeProposal("aes-256", "sha1", "ecp384", 28800)
    offered = read_sa(PHASE_1, ike_offer((IkeProposal("aes-128", "sha1", "ecp256"), strong, weak)))
    choice = ike_choice(offered, (weak, strong))
    assert choice is not None
    assert choice[1] == strong
    assert [transform.number for transform in choice[0].transforms] == [2]
    assert ike_choice(offered, (IkeProposal("aes-256", "sha1", "modp2048"),)) is None


def offered(*rows: Row, **changes: object) -> list[Proposal]:
    return read_sa(PHASE_2, offer(terms(*rows, **changes), b"spi!"))


def test_choice_of_esp() -> None:
    row = EspProposal("aes-256", "sha1")
    plain = offered(row, encapsulation="transport")
    assert choose(plain, terms(row)) is None
    assert why_none(plain, terms(row)) == "transport where udp-transport is wanted"
    choice = choose(plain, terms(row, encapsulation="transport"))
    assert choice is not None
    assert (choice.proposal.spi, choice.row, choice.group) == (b"spi!", row, None)
    bundle = [*plain, Proposal(1, 2, b"ah!!", plain[0].transforms)]
    assert choose(bundle, terms(row, encapsulation="transport")) is None


@pytest.mark.parametrize("row", [EspProposal(cipher, "md5") for cipher in ESP_TRANSFORMS] + [AhProposal(a) for a in AH_TRANSFORMS])
def test_every_transform_is_offered_and_chosen_among_others(row: Row) -> None:
    rest = [EspProposal(cipher, "sha256") for cipher in ESP_TRANSFORMS]
    everything = offered(*rest, row, encapsulation="tunnel", nat=False)
    choice = choose(everything, terms(row, encapsulation="tunnel", nat=False))
    assert choice is not None
    assert choice.row == row


def test_the_first_transform_that_is_ours_too_is_chosen() -> None:
    weak, strong = EspProposal("3des", "sha1"), EspProposal("aes-256", "sha1")
    choice = choose(offered(weak, strong), terms(strong, weak))
    assert choice is not None
    assert choice.row == weak


@pytest.mark.parametrize(
    ("asked", "ours", "strict", "group"),
    [
        (None, None, False, None),
        ("modp1024", None, False, "modp1024"),
        ("modp1024", "modp1024", False, "modp1024"),
        ("ecp256", "ecp256", True, "ecp256"),
        (None, "modp1024", False, "refused"),
        ("modp2048", "modp1024", False, "refused"),
        ("modp1024", None, True, "refused"),
    ],
)
def test_choice_of_the_group_for_pfs(asked: str | None, ours: str | None, strict: bool, group: str | None) -> None:
    row = EspProposal("aes-256", "sha1")
    own = terms(row, pfs=ours, strict=strict)
    choice = choose(offered(row, pfs=asked), own)
    assert ("refused" if choice is None else choice.group) == group
    if choice is None and not strict:
        assert why_none(offered(row, pfs=asked), own) == f"PFS group {asked or 'none'} where modp1024 is wanted"


def test_a_group_nobody_knows_or_two_groups_are_not_chosen() -> None:
    row = EspProposal("aes-256", "sha1")
    (plain,) = offered(row)
    for groups in ([("group", 77)], [("group", "modp3072")], [("group", "modp1024"), ("group", "modp1024")]):
        transform = replace(plain.transforms[0], attributes=(*plain.transforms[0].attributes, *groups))
        assert choose([replace(plain, transforms=(transform,))], terms(row)) is None


def test_ah_is_refused_behind_a_nat_and_where_it_is_not_configured() -> None:
    row, esp = AhProposal("sha1"), EspProposal("aes-256", "sha1")
    asked = offered(row)
    assert choose(asked, terms(row)) is None
    assert "AH cannot pass the NAT" in why_none(asked, terms(row))
    assert why_none(asked, terms(esp, encapsulation="transport", nat=False)) == "AH is not configured"
    assert choose(asked, terms(row, encapsulation="transport", nat=False)) is not None


@pytest.mark.parametrize(
    ("asked", "ours", "notified"),
    [
        ((3600, 1000), (3600, 1000), {}),
        ((3600, 1000), (1800, 1000), {"seconds": 1800}),
        ((3600, 1000), (7200, 500), {"kilobytes": 500}),
        ((3600, 0), (3600, 500), {"kilobytes": 500}),
        ((0, 0), (0, 0), {}),
        ((0, 0), (3600, 9), {"seconds": 3600, "kilobytes": 9}),
    ],
)
def test_lower_limits_are_told(asked: tuple[int, int], ours: tuple[int, int], notified: dict[str, int]) -> None:
    choice = choose(offered(EspProposal("3des", "sha1", *asked)), terms(EspProposal("3des", "sha1", *ours)))
    assert choice is not None
    assert choice.row.lifetime_s > 0
    assert lifetimes(read_attributes(PHASE_2, Reader("ike", choice.lower_limits()))) == notified


def test_zero_is_no_lifetime_at_all() -> None:
    assert [shorter(*pair) for pair in ((3600, 0), (0, 3600), (300, 3600), (3600, 300), (0, 0))] == [3600, 3600, 300, 300, 0]


def test_unknown_attributes_are_named_and_make_no_match() -> None:
    data = struct.pack(">HH", 0x8000 | 77, 5)
    assert read_attributes(PHASE_1, Reader("ike", data)) == (("attribute 77", 5),)


# What reading costs: counted in fields taken from the buffer, since clocks lie.


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one entry for each field read."""
    counts: list[int] = []
    take, sub = Reader.take, Reader.sub

    def counting_take(self: Reader, count: int, what: str) -> bytes:
        counts.append(count)
        return take(self, count, what)

    def counting_sub(self: Reader, count: int, what: str) -> Reader:
        counts.append(0)
        return sub(self, count, what)

    monkeypatch.setattr(Reader, "take", counting_take)
    monkeypatch.setattr(Reader, "sub", counting_sub)
    return counts


def transform_of(attributes: bytes, more: int) -> bytes:
    return struct.pack(">BBHBBH", more, 0, 8 + len(attributes), 1, 1, 0) + attributes


LARGEST = 65507
HUGE = {
    "payloads": struct.pack(">BBH", registry.SA, 0, 4) * (LARGEST // 4),
    "SA of phase 1": struct.pack(">IIBBHBBBB", 1, 1, 0, 0, LARGEST - 8, 1, 1, 0, 255) + transform_of(b"", 3) * (LARGEST // 8 - 2),
    "SA of phase 2": struct.pack(">II", 1, 1)
    + (struct.pack(">BBHBBBB", 2, 0, 16, 1, 3, 0, 1) + transform_of(b"", 0)) * (LARGEST // 16 - 1),
    "attributes of phase 1": struct.pack(">HH", 0x8001, 1) * (LARGEST // 4),
    "D": struct.pack(">IBBH", 1, 3, 4, 65535) + bytes(LARGEST - 8),
}


@pytest.mark.parametrize("what", HUGE)
def test_the_largest_datagram_full_of_the_smallest_parts_is_given_up_early(what: str, taken: list[int]) -> None:
    with pytest.raises(ProtocolError):
        READERS[what](HUGE[what])
    assert len(taken) < 20 * MAX_TRANSFORMS


def test_the_count_sees_what_it_should(taken: list[int]) -> None:
    read_sa(PHASE_1, GOOD["SA of phase 1"])
    assert len(taken) > 20


@pytest.mark.parametrize("what", READERS)
@pytest.mark.parametrize("size", [100, 1000, 10000])
def test_steps_grow_no_faster_than_the_message(what: str, size: int, taken: list[int]) -> None:
    data = (GOOD[what] * size)[:size]
    with suppress(ProtocolError):
        READERS[what](data)
    assert len(taken) <= size + 20
