"""Which release of IOS has what."""

from __future__ import annotations

import pytest

from harness.errors import UsageError
from harness.model.ios_releases import FEATURES, features_of, has, includes, parse


@pytest.mark.parametrize(
    ("release", "there"),
    [
        ("12.3(11)T4", True),
        ("12.3(11)T3", False),
        ("12.3(11)T", False),
        ("12.3(14)T", True),
        ("12.4(1)", True),
        ("12.4(25)", True),
        ("12.4(24)T", True),
        ("12.3(11)", False),
        ("12.3(26)", False),  # the main line of 12.3 never took it in
        ("12.2(15)T", False),
        ("15.0(1)M", True),
        ("15.1(4)M12a", True),
        ("16.9.1", True),
    ],
)
def test_set_nat_demux(release, there):
    assert has("nat-demux", parse(release)) is there


@pytest.mark.parametrize(
    ("feature", "release", "there"),
    [
        ("nat-transparency", "12.2(13)T", True),
        ("spi-matching", "12.2(13)T", False),
        ("spi-matching", "12.2(15)T", True),
        ("spi-matching", "12.3(1)", True),
        ("nat-transparency", "12.2(46)", False),
        ("l2tp-security", "12.2(4)T", True),
        ("l2tp-security", "12.2(2)T", False),
        ("l2tp-security", "12.2(27)SBA", True),
        ("show-nat-vrf", "12.2(13)T", True),
        ("show-nat-esp", "12.2(13)T", False),
    ],
)
def test_the_features_of_the_documents(feature, release, there):
    assert has(feature, parse(release)) is there


def test_a_platform_that_came_later_has_it_later():
    assert has("l2tp-security", parse("12.2(8)T"))
    assert not has("l2tp-security", parse("12.2(8)T"), "AS5300")
    assert has("l2tp-security", parse("12.2(11)T"), "AS5300")
    assert not has("l2tp-security", parse("12.2(4)T"), "7500")
    assert has("l2tp-security", parse("12.2(4)T3"), "7500")


def test_trains_that_do_not_follow_from_each_other():
    with pytest.raises(UsageError, match=r"12\.2\(27\)SBA and 12\.3\(11\)T4"):
        includes(parse("12.2(27)SBA"), parse("12.3(11)T4"))
    with pytest.raises(UsageError, match="compared"):
        has("nat-demux", parse("12.2(27)SBA"))
    assert "l2tp-security" in features_of(parse("12.2(27)SBA"))
    assert "nat-demux" not in features_of(parse("12.2(27)SBA"))


@pytest.mark.parametrize("text", ["", "12", "IOS 12.4", "12.4(1)T4x9", "12.4(", "twelve"])
def test_no_release(text):
    with pytest.raises(UsageError, match="no release"):
        parse(text)


def test_no_feature():
    with pytest.raises(UsageError, match="one of: nat-demux"):
        has("warp-drive", parse("12.4(1)"))


def test_a_late_release_has_all():
    assert features_of(parse("15.1(4)M")) == set(FEATURES)
