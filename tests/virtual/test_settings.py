"""Personalities are read strictly; settings can be changed by name, and timers scaled."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.model.testbed import VIRTUAL_VARIANTS
from harness.virtual import settings as virtual
from harness.virtual.settings import Settings

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
