"""Personalities are read strictly; settings can be changed by name, and timers scaled."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.model.testbed import VIRTUAL_VARIANTS
from harness.virtual import settings as virtual
from harness.virtual.settings import Personality, Settings
from harness.wire.config import EspProposal, IkeProposal
from harness.wire.retransmit import Schedule

FOLDER = Path(virtual.__file__).parent / "personalities"


def test_every_variant_is_there() -> None:
    assert set(VIRTUAL_VARIANTS) <= set(virtual.names())
    on = {name: (virtual.load(name).ipsec, virtual.load(name).demux) for name in VIRTUAL_VARIANTS}
    assert on == {"demux": (True, True), "plain": (True, False), "default": (True, False), "clear": (False, False)}


def test_nothing_but_the_feature_is_different() -> None:
    from dataclasses import replace

    plain = virtual.load("plain")
    for name in ("demux", "default", "clear"):
        other = virtual.load(name)
        assert replace(other, name=plain.name, title=plain.title, ipsec=plain.ipsec, demux=plain.demux) == plain


@pytest.mark.parametrize(
    ("line", "instead", "words"),
    [
        ("demux: true", "demux: maybe", "bool is wanted"),
        ("demux: true", "", "missing: demux"),
        ("demux: true", "demux: true\ncolour: red", "there is no such key"),
        ("policy: next", "policy: any", "'any' is not known"),
        ("first: 1024, last: 65535", "first: 1025, last: 1024", "no port lies between"),
        ("dpd_s: 30", "dpd_s: 0", "seconds above zero"),
        ("receive: ignore", "receive: sometimes", "'sometimes' is not known"),
    ],
)
def test_mistakes_are_told_with_their_place(tmp_path, line, instead, words) -> None:
    text = (FOLDER / "demux.yaml").read_text(encoding="utf-8")
    assert line in text
    file = tmp_path / "wrong.yaml"
    file.write_text(text.replace(line, instead, 1), encoding="utf-8")
    with pytest.raises(UsageError, match=words) as caught:
        virtual.read(file)
    assert caught.value.file == str(file)


def test_there_is_no_such_gateway() -> None:
    with pytest.raises(UsageError, match="no virtual gateway is called"):
        virtual.load("nonsense")


def test_changes_by_name() -> None:
    settings = Settings(virtual.load("demux")).changed(demux=False, pool_last="172.16.1.20")
    assert (settings.personality.demux, settings.pool_last) == (False, "172.16.1.20")
    with pytest.raises(UsageError, match="colour, taste"):
        settings.changed(taste=1, colour="red")
    with pytest.raises(UsageError, match="is empty"):
        settings.changed(pool_last="172.16.1.9")


def test_scaled_timers_are_told() -> None:
    shipped = virtual.load("demux")
    scaled = shipped.scaled(10)
    assert (scaled.dpd, scaled.hello, scaled.esp_proposals[0].lifetime_s) == (3.0, 6.0, 360)
    assert scaled.ike_schedule == shipped.ike_schedule
    assert "hello: 6 instead of 60" in scaled.against(shipped)
    assert not shipped.against(shipped)


DISTINCT = """\
title: all different
ipsec: true
demux: false
ports: {first: 2001, last: 2002, policy: lowest-free}
checksum: {receive: recompute, send: zero}
follow: false
initial_contact: same-client
half_open: 2003
ike:
  vendor_ids: [aa01, aa02]
  lifetime_s: 2004
  proposals:
    - {encryption: aes-192, hash: md5, group: modp1536}
    - {encryption: des, hash: sha256, group: modp768}
  retransmit_s: [1, 2]
  dpd_s: 2005
  rekey_margin: 0.25
esp:
  lifetime_s: 2006
  lifetime_kb: 2007
  idle_s: 2008
  proposals:
    - {encryption: 3des, authentication: sha256}
l2tp:
  host_name: one
  vendor_name: two
  firmware: 2009
  receive_window: 2010
  header_bits: 2011
  hello_s: 2012
  retransmit_s: [3, 4]
  secret: three
  challenge: true
  max_tunnels: 2013
  max_calls: 2014
  call_wait_s: 2015
  hang_up_s: 2016
ppp:
  authentication: [pap, chap-md5]
  name: four
  mru: 2017
  echo_s: 2018
  echo_misses: 2019
  retransmit_s: [5, 6]
"""


def test_every_key_is_read_into_its_own_setting(tmp_path) -> None:
    file = tmp_path / "distinct.yaml"
    file.write_text(DISTINCT)
    assert virtual.read(file) == Personality(
        name="distinct", title="all different", ipsec=True, demux=False, port_first=2001, port_last=2002,
        port_policy="lowest-free", checksum="recompute", send_checksum="zero", follow=False, initial_contact="same-client",
        half_open=2003, vendor_ids=(b"\xaa\x01", b"\xaa\x02"),
        ike_proposals=(IkeProposal("aes-192", "md5", "modp1536", 2004), IkeProposal("des", "sha256", "modp768", 2004)),
        ike_schedule=Schedule((1.0, 2.0)), dpd=2005.0, idle=2008.0, ike_rekey_margin=0.25,
        esp_proposals=(EspProposal("3des", "sha256", 2006, 2007),),
        host_name="one", vendor_name="two", firmware=2009, receive_window=2010, header_bits=2011, hello=2012.0,
        l2tp_schedule=Schedule((3.0, 4.0)), secret="three", challenge=True, max_tunnels=2013, max_calls=2014,
        call_wait=2015.0, hang_up=2016.0, authentication=("pap", "chap-md5"), ppp_name="four", mru=2017, echo=2018.0,
        echo_misses=2019, ppp_schedule=Schedule((5.0, 6.0)),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("key", "least", "greatest"),
    [
        ("half_open", 1, None), ("lifetime_s", 1, None), ("lifetime_kb", 0, None), ("firmware", 0, 65535),
        ("receive_window", 1, 65535), ("header_bits", 0, 65535), ("max_tunnels", 1, 60000), ("max_calls", 1, 60000),
        ("mru", 128, 65535), ("echo_misses", 1, None), ("hang_up_s", 0, None), ("first", 1, 2002), ("last", 2001, 65535),
    ],
)  # fmt: skip
def test_each_number_has_its_limits(tmp_path, key, least, greatest) -> None:
    file = tmp_path / "limits.yaml"

    def written(value: int) -> None:
        changed, count = re.subn(rf"\b{key}: \d+", f"{key}: {value}", DISTINCT, count=1)
        assert count == 1
        file.write_text(changed)
        virtual.read(file)

    for good in (least, greatest):
        if good is not None:
            written(good)
    for bad in (least - 1, None if greatest is None else greatest + 1):
        if bad is not None:
            with pytest.raises(UsageError):
                written(bad)


OPEN = {
    "dpd_s": "dpd", "rekey_margin": "ike_rekey_margin", "idle_s": "idle", "hello_s": "hello", "secret": "secret", "echo_s": "echo"
}  # fmt: skip


@pytest.mark.parametrize(
    ("key", "name", "value"),
    [*((key, name, None) for key, name in OPEN.items()), ("authentication", "authentication", ()), ("demux", "demux", False)],
)
def test_what_may_be_left_open(tmp_path, key, name, value) -> None:
    file = tmp_path / "open.yaml"
    text, count = re.subn(rf"^( *){key}: .*$", rf"\1{key}: null", DISTINCT, flags=re.MULTILINE)
    assert count == 1
    file.write_text(text)
    assert getattr(virtual.read(file), name) == value


def test_lifetimes_are_those_of_all_proposals() -> None:
    before = Settings(virtual.load("demux"))
    after = before.changed(ike_lifetime_s=77, esp_lifetime_s=78, address="192.0.2.1")
    assert after.address == "192.0.2.1"
    assert {row.lifetime_s for row in after.personality.ike_proposals} == {77}
    assert {row.lifetime_s for row in after.personality.esp_proposals} == {78}
    ciphers = [(row.encryption, row.group) for row in after.personality.ike_proposals]
    assert ciphers == [(row.encryption, row.group) for row in before.personality.ike_proposals]


def test_what_scaling_concerns() -> None:
    look = virtual.load("demux").scaled(10)
    shipped = virtual.load("demux")
    assert look.against(shipped) == (
        "dpd: 3 instead of 30", "idle: 24 instead of 240", "hello: 6 instead of 60", "echo: 3 instead of 30",
        "call_wait: 3 instead of 30", "IKE lifetime: 2880 instead of 28800", "ESP lifetime: 360 instead of 3600",
    )  # fmt: skip
    assert (look.hang_up, look.l2tp_schedule, look.ppp_schedule) == (shipped.hang_up, shipped.l2tp_schedule, shipped.ppp_schedule)
    assert {row.lifetime_s for row in shipped.scaled(1e9).ike_proposals} == {1}
    assert Settings(shipped).changed(hello=None, dpd=None).personality.scaled(2).hello is None


def test_the_lab_that_a_test_gets_without_a_testbed() -> None:
    settings = Settings(virtual.load("demux"))
    assert (settings.address, settings.ppp_address) == ("203.0.113.231", "172.16.1.1")
    assert (settings.pool_first, settings.pool_last) == ("172.16.1.10", "172.16.1.200")
    assert (settings.psk.reveal(), dict(settings.users), settings.lan, settings.end_host) == ("sharedsecret", {}, None, None)
