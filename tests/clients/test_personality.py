"""Personality files: what ships, and how mistakes in one are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.clients import personality
from harness.errors import UsageError
from harness.model import ClientPlan, Secret
from harness.wire.config import EspProposal, IkeProposal

PLAN = ClientPlan(3, "10.0.0.4", "203.0.113.231", Secret("sharedsecret"), "user3", Secret("pw3"))
RFC_3947 = bytes.fromhex("4a131c81070358455c5728f20e95452f")  # section 3.1
DRAFT_02 = bytes.fromhex("90cb80913ebb696e086381b5ec427b1f")
WINDOWS = personality.FOLDER / "windows7.yaml"


def zeros(count: int) -> bytes:
    return bytes(count)


@pytest.mark.parametrize("name", personality.names())
def test_every_shipped_personality_loads_and_makes_a_configuration(name: str) -> None:
    config = personality.load(name).stack_config(PLAN, zeros)
    assert (config.ppp.user, config.ppp.password) == ("user3", "pw3")
    assert (config.ike is None) == (name == "clear")
    if config.ike is not None:
        assert (config.ike.address, config.ike.peer_address) == ("10.0.0.4", "203.0.113.231")
        assert (config.ike.psk, config.ike.l2tp_port) == (b"sharedsecret", config.l2tp_port)
        announced = bool({RFC_3947, DRAFT_02} & set(config.ike.vendor_ids))
        assert announced == (name != "windows2000-unpatched")


def test_windows_7_offers_what_the_dump_of_a_windows_7_shows() -> None:
    config = personality.load("windows7").stack_config(PLAN, zeros)
    assert config.ike.proposals == (
        IkeProposal("aes-256", "sha1", "ecp384", 28800),
        IkeProposal("aes-128", "sha1", "ecp256", 28800),
        IkeProposal("aes-256", "sha1", "modp2048", 28800),
        IkeProposal("3des", "sha1", "modp2048", 28800),
        IkeProposal("3des", "sha1", "modp1024", 28800),
    )
    assert [vendor_id.hex() for vendor_id in config.ike.vendor_ids] == [
        "1e2b516905991c7d7c96fcbfb587e46100000008",
        "4a131c81070358455c5728f20e95452f",
        "90cb80913ebb696e086381b5ec427b1f",
        "4048b7d56ebce88525e7de7f00d6c2d3",
        "fb1de3cdf341b7ea16b7e5be0855f120",
        "26244d38eddb61b3172a36e3d0cfb819",
        "e3a5966a76379fe707228231e5ce8652",
    ]
    assert config.ike.identity == "address"
    assert config.ike.esp_proposals[0] == EspProposal("aes-256", "sha1", 3600, 250_000)
    assert (config.l2tp.receive_window, config.l2tp.hello_s, config.l2tp.vendor_name) == (8, 40.0, "Microsoft")
    assert config.l2tp.correlation_id == bytes(16)
    assert config.l2tp.host_name == "WIN7-3"


def test_a_personality_that_does_not_exist_is_told_with_those_that_do() -> None:
    with pytest.raises(UsageError, match="no personality is called 'windows95'") as caught:
        personality.load("windows95")
    assert "windows7" in (caught.value.cure or "")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("  keepalive_s: 20", "  keepalife_s: 20", "ike.keepalife_s: there is no such key"),
        ("  keepalive_s: 20", "  keepalive_s: soon", "ike.keepalive_s: int or float is wanted here, 'soon' is str"),
        ("  keepalive_s: 20", "  keepalive_s: -1", "ike.keepalive_s: seconds above zero are wanted here"),
        ("  keepalive_s: 20", "  keepalive_s: .inf", "ike.keepalive_s: seconds above zero are wanted here"),
        ("  keepalive_s: 20", "  keepalive_s: [20]", "ike.keepalive_s: int or float is wanted here, not a list or mapping"),
        ("  keepalive_s: 20", "  keepalive_s: 20\n  keepalive_s: 30", "ike.keepalive_s: the key stands here a second time"),
        ("  id_port: 0", "  id_port: 65536", "ike.id_port: 65536 is out of range (0 to 65535)"),
        ("  id_port: 0", "  id_port: true", "ike.id_port: int is wanted here, 'true' is bool"),
        ("  identity: address", "  identity: 'fqdn:'", "ike.identity: 'fqdn:' is no identity"),
        ("group: ecp384", "group: modp666", "ike.proposals[0].group: 'modp666' is not known"),
        ("encryption: aes-256, hash: sha1, group: ecp384", "encryption: aes-256", "ike.proposals[0]: missing: hash, group"),
        ("    - 4a131c81070358455c5728f20e95452f", "    - 4a131c8107035845xx", "ike.vendor_ids[1]: '4a131c8107035845xx' is not"),
        ("  correlation_id: true", "  correlation_id: 1", "l2tp.correlation_id: bool is wanted here, '1' is int"),
        ("  accept: [mschapv2, chap-md5]", "  accept: []", "ppp.accept: a list with at least one entry is wanted here"),
        ("  accept: [mschapv2, chap-md5]", "  accept: [pep]", "ppp.accept[0]: 'pep' is not known"),
        ("  rekey_margin: 0.8", "  rekey_margin: 1.5", "ike.rekey_margin: a share between 0 and 1 is wanted here"),
        ("  host_name: WIN7-{number}", "  host_name: ''", "l2tp.host_name: the text is empty"),
        ("title: Windows 7", "title: Windows 7\nextra: 1", "extra: there is no such key"),
    ],
)
def test_a_mistake_is_told_with_file_and_line(tmp_path: Path, old: str, new: str, problem: str) -> None:
    text = WINDOWS.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path = tmp_path / "mine.yaml"
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        personality.read(path)
    assert problem in caught.value.problem
    assert caught.value.file == str(path)
    expected = text[: text.index(old)].count("\n") + 1 + new.count("\n")
    assert caught.value.line == expected


@pytest.mark.parametrize("text", ["", "title: [", "- a", "title: 'x\x00'", "a: !!python/object:os.system {}"])
def test_what_is_no_personality_at_all_is_told_too(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=r"mine\.yaml"):
        personality.read(path)


def test_null_leaves_a_timer_out(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(WINDOWS.read_text(encoding="utf-8").replace("rekey_margin: 0.8", "rekey_margin: null"), encoding="utf-8")
    assert personality.read(path).rekey_margin is None


def test_a_file_says_what_differs_from_the_one_it_is_based_on(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("based_on: windows7\ntitle: Mine\nike:\n  keepalive_s: 5\n", encoding="utf-8")
    mine, seven = personality.read(path), personality.load("windows7")
    assert (mine.title, mine.keepalive_s) == ("Mine", 5)
    assert (mine.vendor_ids, mine.proposals, mine.mru) == (seven.vendor_ids, seven.proposals, seven.mru)


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("title: Mine\nbased_on: windows95\n", 2, "'windows95' is not known"),
        ("title: Mine\nbased_on: brisk\n", 2, "brisk is itself based on linux"),
        ("based_on: windows7\ntitle: Mine\nike:\n  keepalife_s: 5\n", 4, "ike.keepalife_s: there is no such key"),
        ("based_on: windows7\ntitle: Mine\nl2tp:\n  port: 0\n", 4, "l2tp.port: 0 is out of range"),
    ],
)
def test_a_mistake_in_what_differs_is_told_with_its_line(tmp_path: Path, text: str, line: int, problem: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        personality.read(path)
    assert problem in str(caught.value)
    assert (caught.value.file, caught.value.line) == (str(path), line)


def test_ports_of_clients_without_ipsec() -> None:
    assert personality.clear_ports() == (1701,)
