"""Bytes that nobody should send, at any moment: refused, and nothing changes."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from phase_1_ways import WAYS

from harness.wire.buffer import Reader
from harness.wire.events import EspUp, IkeDown, IkeUp, Notified, Refused
from harness.wire.ike import registry
from harness.wire.ike.core import IkeCore
from harness.wire.ike.message import Header, read_header, read_payloads, write_message, write_payloads
from harness.wire.ike.payloads import Deletion, Notification

MakePair = Callable[..., Any]
NOW = 100.0
# Whose core is looked at, how many datagrams of the client's and of the gateway's arrive before the line goes dead, which way.
MAIN, SIGNED = "main mode, key", "main mode, signatures"
AGGRESSIVE, AGGRESSIVE_SIGNED = "aggressive mode, key", "aggressive mode, signatures"
MOMENTS = {
    "client: MM1 is out": ("client", 1, 0, MAIN),
    "client: MM3 is out": ("client", 2, 1, MAIN),
    "client: MM5 is out": ("client", 3, 2, MAIN),
    "client: QM1 is out": ("client", 4, 3, MAIN),
    "client: all is up": ("client", 99, 99, MAIN),
    "gateway: nothing has come": ("gateway", 0, 0, MAIN),
    "gateway: MM2 is out": ("gateway", 1, 1, MAIN),
    "gateway: MM4 is out": ("gateway", 2, 2, MAIN),
    "gateway: MM6 is out": ("gateway", 3, 3, MAIN),
    "gateway: QM2 is out": ("gateway", 4, 4, MAIN),
    "gateway: all is up": ("gateway", 99, 99, MAIN),
    "client: MM3 with CERTREQ is out": ("client", 2, 1, SIGNED),
    "client: MM5 with SIG is out": ("client", 3, 2, SIGNED),
    "gateway: MM4 with CERTREQ is out": ("gateway", 2, 2, SIGNED),
    "client: AM1 is out": ("client", 1, 0, AGGRESSIVE),
    "gateway: no AM1 has come": ("gateway", 0, 0, AGGRESSIVE),
    "gateway: AM2 is out": ("gateway", 1, 1, AGGRESSIVE),
    "client: AM3 and QM1 are out": ("client", 3, 1, AGGRESSIVE),
    "client: AM1 with CERTREQ is out": ("client", 1, 0, AGGRESSIVE_SIGNED),
    "gateway: AM2 with SIG is out": ("gateway", 1, 1, AGGRESSIVE_SIGNED),
}


def stopped(make_pair: MakePair, moment: str) -> tuple[IkeCore, list[tuple[bytes, int]]]:
    """The core at that moment, its outbox emptied, and the messages that were on their way to it and got lost."""
    end, from_client, from_gateway, way = MOMENTS[moment]
    allowed = {"client": from_client, "gateway": from_gateway}
    pair = make_pair(*WAYS[way])
    pair.drop = lambda sender, number: number > allowed[sender]
    pair.up()
    other = "gateway" if end == "client" else "client"
    lost = [(d.payload[4:] if d.dport == 4500 else d.payload, d.dport) for d in pair.sent[other][allowed[other] :]]
    return getattr(pair, end), lost


def snapshot(core: IkeCore) -> object:
    everything = core._all
    return (
        [(run.state, run.icookie, run.rcookie, run.deadline, run.floated, run.last_block) for run in everything.main],
        [(sa.cookies, sa.last_block, sa.expires_at, sa.rekey_at, sa.delete_at, sa.floated) for sa in everything.sas],
        [(run.state, run.message_id, run.deadline) for run in everything.quick],
        [(pair.spi_in, pair.spi_out, pair.expires_at, pair.rekey_at, pair.delete_at) for pair in everything.pairs],
        core.deadline,
    )


def assert_refused(core: IkeCore, data: bytes, port: int) -> None:
    before = snapshot(core)
    core.receive(NOW, data, port)
    assert snapshot(core) == before
    assert core.take_datagrams() == []
    events = core.take_events()
    if data != registry.KEEPALIVE:
        assert [type(event) for event in events] == [Refused]


@pytest.fixture(scope="module", params=MOMENTS)
def moment(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


RELAXED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=40)


@given(noise=st.lists(st.binary(max_size=200), min_size=1, max_size=5), port=st.sampled_from([500, 4500]))
@RELAXED
def test_noise(make_pair: MakePair, moment: str, noise: list[bytes], port: int) -> None:
    core, _ = stopped(make_pair, moment)
    for data in noise:
        assert_refused(core, data, port)


@given(data=st.data())
@RELAXED
def test_noise_behind_a_fitting_header(make_pair: MakePair, moment: str, data: st.DataObject) -> None:
    """With the right cookies, and any exchange type, flags, message ID, first payload."""
    core, _ = stopped(make_pair, moment)
    runs = [*core._all.main, *core._all.sas]
    icookie, rcookie = (runs[-1].icookie, runs[-1].rcookie) if runs else (b"icookie!", bytes(8))
    header = Header(
        icookie,
        data.draw(st.sampled_from([rcookie, bytes(8), b"rcookie!"])),
        data.draw(st.integers(0, 255)),
        data.draw(st.sampled_from([registry.EXCHANGE_MAIN, 4, registry.EXCHANGE_INFORMATIONAL, registry.EXCHANGE_QUICK, 77])),
        data.draw(st.integers(0, 7)),
        data.draw(st.sampled_from([0, 1, 0xFFFFFFFF])),
    )
    body = data.draw(st.binary(max_size=160))
    before = [(run.state, run.icookie) for run in core._all.main], len(core._all.sas), len(core._all.pairs)
    core.receive(NOW, write_message(header, body), data.draw(st.sampled_from([500, 4500])))
    after = [(run.state, run.icookie) for run in core._all.main], len(core._all.sas), len(core._all.pairs)
    assert after == before


@pytest.mark.parametrize(
    "name",
    [
        "client: MM5 is out",
        "client: QM1 is out",
        "gateway: MM4 is out",
        "gateway: MM6 is out",
        "gateway: QM2 is out",
        "client: MM5 with SIG is out",
        "gateway: MM4 with CERTREQ is out",
    ],
)
def test_one_wrong_bit_in_a_protected_message(make_pair: MakePair, name: str) -> None:
    core, lost = stopped(make_pair, name)
    data, port = lost[0]
    assert data[19] & registry.FLAG_ENCRYPTION
    for position in range(28, len(data)):
        bent = bytearray(data)
        bent[position] ^= 1 << (position % 8)
        assert_refused(core, bytes(bent), port)
    before = snapshot(core)
    core.receive(NOW, data, port)
    assert snapshot(core) != before
    assert not any(isinstance(event, Refused) for event in core.take_events())


@given(data=st.data())
@RELAXED
def test_a_real_message_cut_or_bent(make_pair: MakePair, moment: str, data: st.DataObject) -> None:
    """Nothing but events comes of it, and the real message is still taken afterwards unless the bent one was good enough."""
    core, lost = stopped(make_pair, moment)
    if not lost:
        return
    good, port = lost[0]
    bent = bytearray(good)
    for _ in range(data.draw(st.integers(1, 3))):
        bent[data.draw(st.integers(0, len(bent) - 1))] = data.draw(st.integers(0, 255))
    core.receive(NOW, bytes(bent[: data.draw(st.integers(0, len(bent)))]), port)
    core.receive(NOW, bytes(bent), port)
    core.take_events()


@pytest.mark.parametrize("name", ["gateway: AM2 is out", "gateway: AM2 with SIG is out"])
def test_one_wrong_bit_in_am3(make_pair: MakePair, name: str) -> None:
    """Its proof covers neither its NAT-D nor its padding: wherever a bit is wrong, the SA has the right keys, or there is none."""
    _, lost = stopped(make_pair, name)
    data, port = lost[0]
    refused = 0
    for position in range(28, len(data), 7):
        core, _ = stopped(make_pair, name)
        (run,) = core._all.main
        bent = bytearray(data)
        bent[position] ^= 1 << (position % 8)
        core.receive(NOW, bytes(bent), port)
        (event,) = core.take_events()
        assert isinstance(event, IkeUp | Refused)
        if isinstance(event, IkeUp):
            assert run.keys is not None
            assert event.encryption_key == run.keys.encryption_key
        refused += isinstance(event, Refused)
    assert refused >= 3


@pytest.mark.parametrize(
    "name",
    [
        "client: MM5 with SIG is out",
        "gateway: MM4 with CERTREQ is out",
        "client: AM1 with CERTREQ is out",
        "gateway: AM2 with SIG is out",
    ],
)
@given(data=st.data())
@RELAXED
def test_every_payload_of_phase_1_truncated_or_lying(make_pair: MakePair, name: str, data: st.DataObject) -> None:
    """In clear, so that no cipher spoils the aim: one payload is shortened, or some of its bytes are others, and all fits again."""
    core, lost = stopped(make_pair, name)
    (run,) = core._all.main
    header, plain = read_header(lost[0][0]), lost[0][0][28:]
    if header.encrypted:
        assert run.keys is not None
        plain = run.keys.cipher.decrypt(run.last_block, plain)
    payloads = [(payload.type, payload.body) for payload in read_payloads(header.first, plain)]
    at = data.draw(st.sampled_from(range(len(payloads))))
    kind, body = payloads[at]
    bent = bytearray(body)
    for _ in range(data.draw(st.integers(0, 3)) if bent else 0):
        bent[data.draw(st.integers(0, len(bent) - 1))] = data.draw(st.integers(0, 255))
    payloads[at] = (kind, bytes(bent[: data.draw(st.integers(0, len(bent)))]))
    first, chain = write_payloads(payloads)
    if header.encrypted:
        assert run.keys is not None
        chain = run.keys.encrypt(run.last_block, chain)
    before = snapshot(core)
    core.receive(NOW, write_message(header._replace(first=first), chain), lost[0][1])
    events = core.take_events()
    if kind in (registry.SA, registry.KE, registry.NONCE, registry.ID, registry.HASH, registry.SIGNATURE, registry.CERT):
        assert payloads[at][1] == body or [type(event) for event in events] == [Refused]
    if any(isinstance(event, Refused) for event in events):
        assert snapshot(core) == before


@pytest.mark.parametrize("kind", sorted(registry.NOTIFIES))
@pytest.mark.parametrize("port", [500, 4500])
def test_unauthenticated_notifications_do_not_touch_an_established_sa(make_pair: MakePair, kind: int, port: int) -> None:
    core, _ = stopped(make_pair, "client: all is up")
    (sa,), (pair,) = core._all.sas, core._all.pairs
    for spi in (b"", sa.cookies, pair.spi_in, pair.spi_out):
        first, chain = write_payloads([(registry.NOTIFY, Notification(3, kind, spi, b"").write())])
        header = Header(sa.icookie, sa.rcookie, first, registry.EXCHANGE_INFORMATIONAL, 0, 99)
        before = snapshot(core)
        core.receive(NOW, write_message(header, chain), port)
        assert snapshot(core) == before
        assert core.take_datagrams() == []
        events = core.take_events()
        if port == 500:
            assert [type(event) for event in events] == [Refused]  # late or forged: this SA has moved to 4500
        else:
            assert [(event.type, event.protected) for event in events if isinstance(event, Notified)] == [(kind, False)]


def test_an_unauthenticated_delete_deletes_nothing(make_pair: MakePair) -> None:
    core, _ = stopped(make_pair, "client: all is up")
    (sa,), (pair,) = core._all.sas, core._all.pairs
    for deletion in (Deletion(1, (sa.cookies,)), Deletion(3, (pair.spi_out,))):
        first, chain = write_payloads([(registry.DELETE, deletion.write())])
        assert_refused(core, write_message(Header(sa.icookie, sa.rcookie, first, 5, 0, 99), chain), 4500)


def test_a_forged_refusal_of_quick_mode_is_not_believed(make_pair: MakePair) -> None:
    core, lost = stopped(make_pair, "client: QM1 is out")
    (sa,) = core._all.sas
    first, chain = write_payloads([(registry.NOTIFY, Notification(3, 14, b"", b"").write())])
    core.receive(NOW, write_message(Header(sa.icookie, sa.rcookie, first, 5, 0, 99), chain), 4500)
    core.receive(NOW, *lost[0])
    assert [type(event) for event in core.take_events()] == [Notified, EspUp]


def test_a_forged_refusal_of_mm5_is_only_a_symptom(make_pair: MakePair) -> None:
    core, lost = stopped(make_pair, "client: MM5 is out")
    (run,) = core._all.main
    first, chain = write_payloads([(registry.NOTIFY, Notification(1, 16, b"", b"").write())])
    core.receive(NOW, write_message(Header(run.icookie, run.rcookie, first, 5, 0, 99), chain), 500)
    assert run.symptom is not None
    core.receive(NOW, *lost[0])
    assert [type(event) for event in core.take_events()] == [Notified, IkeUp]


def test_everything_again_changes_nothing(make_pair: MakePair) -> None:
    """A whole session replayed at its end: no event but Refused, no more datagrams than messages."""
    pair = make_pair().up()
    pair.client.rekey_ipsec(pair.now)
    pair.client.rekey_ike(pair.now)
    pair.pump()
    pair.advance(15)
    for end, other in (("client", "gateway"), ("gateway", "client")):
        core = getattr(pair, end)
        before = snapshot(core)
        replayed = [(d.payload[4:] if d.dport == 4500 else d.payload, d.dport) for d in pair.sent[other]]
        for data, port in replayed:
            core.receive(pair.now, data, port)
        established = snapshot(core)[1:4]  # type: ignore[index]
        assert established == before[1:4]  # type: ignore[index]
        assert all(isinstance(event, Refused) for event in core.take_events())
        assert len(core.take_datagrams()) <= len(replayed)


def test_half_open_main_modes_of_the_peer_are_few(make_pair: MakePair) -> None:
    pair = make_pair()
    for seed in range(50):
        pair.client = IkeCore(pair.client.config, random.Random(seed).randbytes)
        pair.client.start(pair.now)
        for datagram in pair.client.take_datagrams():
            pair.gateway.receive(pair.now, datagram.payload, 500)
    assert len(pair.gateway._all.main) == 4
    pair.gateway.tick(pair.now + 100)
    assert pair.gateway._all.main == []
    assert pair.gateway.deadline is None


@pytest.mark.parametrize("body", [b"\0", b"\x01\0\0\x04", b"\x0d\0\0\x04", b"\xff" * 8])
def test_a_huge_message_costs_no_more_than_its_length(
    make_pair: MakePair, moment: str, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    core, _ = stopped(make_pair, moment)
    steps: list[int] = []
    take = Reader.take

    def counting(self: Reader, count: int, what: str) -> bytes:
        steps.append(count)
        return take(self, count, what)

    monkeypatch.setattr(Reader, "take", counting)
    runs = [*core._all.main, *core._all.sas]
    cookies = (runs[-1].icookie, runs[-1].rcookie) if runs else (b"icookie!", bytes(8))
    for exchange in registry.EXCHANGES:
        for flags in (0, 1):
            payload = (body * 65536)[:65472]
            core.receive(NOW, write_message(Header(*cookies, registry.VENDOR_ID, exchange, flags, 7), payload), 4500)
    assert len(steps) < 8 * 200


def test_a_keepalive_is_no_message(make_pair: MakePair) -> None:
    core, _ = stopped(make_pair, "client: all is up")
    before = snapshot(core)
    core.receive(NOW, registry.KEEPALIVE, 4500)
    assert snapshot(core) == before
    assert core.take_events() == []


def test_garbage_between_all_messages_does_not_disturb_the_set_up(make_pair: MakePair) -> None:
    pair = make_pair()
    noise = random.Random(5)
    for core in (pair.client, pair.gateway):
        real = core.receive

        def noisy(now: float, data: bytes, port: int, remote_port: int, real: Any = real) -> None:
            real(now, noise.randbytes(noise.randrange(100)), port)
            real(now, data[:20] + noise.randbytes(len(data) - 20), port)
            real(now, data[:-1], port)
            real(now, data, port)

        core.receive = noisy
    pair.up()
    assert len(pair.got("client", EspUp)) == len(pair.got("gateway", EspUp)) == 1
    assert pair.got("client", IkeDown) == []
    assert pair.got("client", Refused) != []
