"""What a stack reports, and what a client then says of itself."""

from __future__ import annotations

from typing import Any

from harness.clients.account import Account
from harness.clients.flow import Entry
from harness.model import RecordKind, Stage
from harness.wire import events as wire

IKE = wire.IkeUp(b"\1" * 8, b"\2" * 8, "aes-256", "sha1", "modp2048", 28800, True, False, b"secret key", False, b"iv")
ESP = wire.EspUp(1, 2, "udp-transport", "aes-128", "sha1", 3600, 250_000, b"key", b"auth", b"key", b"auth", False)
SET_UP: tuple[wire.Event, ...] = (
    IKE,
    ESP,
    wire.TunnelUp(11, 22, "lns", "xelerance.com"),
    wire.CallUp(33, 44),
    wire.LcpUp(1400, "mschapv2"),
    wire.Authenticated("mschapv2", "Access granted"),
    wire.PppUp("172.16.1.10", "172.16.1.1", ("9.9.9.9",)),
)


def play(account: Account, *events: wire.Event, at: float = 100.0) -> list[Entry]:
    """One event every tenth of a second, and the sum of them."""
    return [entry for i, event in enumerate(events, 1) for entry in account.hear(at + i / 10, event)] + account.settle()


def only(entries: list[Entry], kind: RecordKind) -> list[dict[str, Any]]:
    return [data for found, data in entries if found is kind]


def test_a_set_up_stage_by_stage() -> None:
    account = Account(100.0)
    entries = play(account, *SET_UP)
    stages = only(entries, RecordKind.STAGE)
    assert [stage["stage"] for stage in stages] == [stage.value for stage in Stage]
    assert [stage["took"] for stage in stages] == [0.1] * 7 + [0.0]
    assert stages[-1]["total"] == 0.7
    assert only(entries, RecordKind.PPP_UP) == [
        {"address": "172.16.1.10", "peer": "172.16.1.1", "dns": ["9.9.9.9"], "authentication": "mschapv2"}
    ]
    assert (account.up, account.over, account.mtu) == (True, False, 1400)
    assert (account.address, account.peer) == ("172.16.1.10", "172.16.1.1")


def test_no_key_enters_a_record() -> None:
    for _, data in play(Account(0.0), *SET_UP):
        assert not any(name.startswith(("key", "auth_key")) or isinstance(value, bytes) for name, value in data.items())


def test_a_rekey_is_no_stage() -> None:
    account = Account(0.0)
    play(account, *SET_UP)
    rekeyed = wire.EspUp(3, 4, "udp-transport", "aes-128", "sha1", 3600, 0, b"", b"", b"", b"", True)
    entries = play(account, rekeyed, wire.EspDown(1, False, "replaced"))
    assert [kind for kind, _ in entries] == [RecordKind.ESP_UP]
    assert entries[0][1]["rekey"] is True
    assert entries[0][1]["spi_in"] == "00000003"


def test_a_set_up_that_fails_names_stage_and_reason_once() -> None:
    account = Account(0.0)
    failed = wire.Failed("main mode", "no answer to 5 tries in 31 s", {"tries": 5})
    entries = play(account, failed, failed, wire.TunnelDown(False, 0, "gone"))
    assert entries == [(RecordKind.FAILED, {"stage": "main mode", "reason": "no answer to 5 tries in 31 s", "tries": 5})]
    assert (account.up, account.over) == (False, True)


def test_who_ended_an_established_connection() -> None:
    cases = [
        ([wire.PppDown(True, "terminated"), wire.Failed("LCP", "terminated", {})], "gateway", "LCP: terminated"),
        ([wire.CallDown(True, 3, "administrative")], "gateway", "L2TP session: administrative"),
        ([wire.Failed("L2TP tunnel", "stopped", {}), wire.TunnelDown(True, 6, "stopped")], "gateway", "L2TP tunnel: stopped"),
        ([wire.PppDown(False, "no echo"), wire.Failed("LCP", "no echo", {})], "silence", "LCP: no echo"),
        ([wire.TunnelDown(False, 0, "no answer to Hello")], "silence", "L2TP tunnel: no answer to Hello"),
        ([wire.Failed("up", "ESP gone", {"by": "gateway"}), wire.PppDown(False, "closed")], "gateway", "up: ESP gone"),
        ([wire.Failed("up", "no answer to R-U-THERE", {"tries": 5})], "silence", "up: no answer to R-U-THERE"),
    ]
    for events, by, cause in cases:
        account = Account(0.0)
        play(account, *SET_UP)
        ((kind, data),) = play(account, *events)
        assert play(account, *events) == []
        assert (kind, data["by"], data["cause"], data["detail"]["stage"]) == (RecordKind.ENDED, by, cause, "up")
        assert not account.up


def test_a_link_that_is_negotiated_anew_has_not_ended() -> None:
    account = Account(0.0)
    play(account, *SET_UP)
    assert play(account, wire.PppDown(True, "LCP began again")) == [
        (RecordKind.PPP_DOWN, {"reason": "LCP began again", "by_peer": True})
    ]
    entries = play(account, wire.PppUp("172.16.1.12", "172.16.1.1", ()))
    assert [kind for kind, _ in entries] == [RecordKind.PPP_UP]
    assert (account.up, account.address) == (True, "172.16.1.12")
    ((kind, _),) = play(account, wire.Failed("LCP", "no answer", {}))
    assert kind is RecordKind.ENDED


def test_hanging_up_is_the_client_s_doing_whatever_comes_down_first() -> None:
    account = Account(0.0)
    play(account, *SET_UP)
    account.close()
    entries = play(account, wire.PppDown(True, "Terminate-Ack"), wire.TunnelDown(True, 1, "cleared"))
    assert [(kind, data["by"]) for kind, data in entries] == [(RecordKind.ENDED, "client")]


def test_hanging_up_during_set_up_is_an_end_and_no_failure() -> None:
    account = Account(0.0)
    play(account, IKE)
    account.close()
    entries = play(account, wire.Failed("quick mode", "closed", {}))
    assert [(kind, data["by"], data["detail"]["stage"]) for kind, data in entries] == [(RecordKind.ENDED, "client", "main mode")]


def test_what_the_gateway_deleted_before_is_told_with_the_end() -> None:
    account = Account(0.0)
    play(account, *SET_UP)
    deleted = play(account, wire.EspDown(1, True, "delete"), wire.IkeDown(b"\1" * 8, b"\2" * 8, True, "delete"))
    assert [data["protocol"] for data in only(deleted, RecordKind.PEER_DELETE)] == ["esp", "isakmp"]
    ((_, data),) = play(account, wire.TunnelDown(False, 0, "Hello unanswered 5 times"))
    assert data["detail"]["deleted by the gateway before"] == ["esp 00000001", "isakmp " + "01" * 8 + "02" * 8]


def test_notifies_and_garbage() -> None:
    entries = play(Account(0.0), wire.Notified(14, "NO-PROPOSAL-CHOSEN", b"\0", False), wire.Refused("esp", "replayed"))
    assert entries == [
        (RecordKind.PEER_NOTIFY, {"type": "NO-PROPOSAL-CHOSEN", "detail": {"number": 14, "data": "00", "protected": False}}),
        (RecordKind.GARBAGE, {"layer": "esp", "reason": "replayed"}),
    ]


def test_every_event_is_understood() -> None:
    """No event of the wire falls through unheard, save those that belong to the marks or tell of one's own doing."""
    silent = {wire.IpPacket, wire.Strange, wire.Event, wire.Datagram}
    makers: dict[type[wire.Event], wire.Event] = {type(event): event for event in SET_UP}
    makers |= {
        wire.EspDown: wire.EspDown(1, True, "x"),
        wire.IkeDown: wire.IkeDown(b"", b"", True, "x"),
        wire.Notified: wire.Notified(1, "x", b"", True),
        wire.InitialContact: wire.InitialContact(24578, "INITIAL_CONTACT", b"", True),
        wire.CallDown: wire.CallDown(True, 1, "x"),
        wire.TunnelDown: wire.TunnelDown(True, 1, "x"),
        wire.PppDown: wire.PppDown(True, "x"),
        wire.Refused: wire.Refused("x", "x"),
        wire.RekeyFailed: wire.RekeyFailed("x", "x"),
        wire.Failed: wire.Failed("x", "x", {}),
    }
    kinds = {value for value in vars(wire).values() if isinstance(value, type) and issubclass(value, wire.Event)}
    assert kinds - silent == set(makers)
    for event in makers.values():
        account = Account(0.0)
        play(account, *SET_UP)
        assert account.hear(1.0, event) + account.settle()
