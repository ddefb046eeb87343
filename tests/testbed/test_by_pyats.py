"""pyATS as a second reader: that it is asked, is shown no secret, and that a disagreement is an error with its line."""

import pytest

from harness.errors import UsageError
from harness.testbed import load


@pytest.fixture
def loader():
    from pyats.topology import loader

    return loader


def test_it_is_given_no_secret(bench, loader, monkeypatch):
    given = []
    real = loader.load

    def load_it(what):
        given.append(repr(what))
        return real(what)

    monkeypatch.setattr(loader, "load", load_it)
    root = "      username: root\n"
    load(bench((root, root + "      password: planted\n"), ("psk: sharedsecret", "psk: planted")))
    (one,) = given
    assert "10.99.0.2" in one
    assert "planted" not in one


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda testbed: setattr(testbed.devices["gateway"], "os", "ios"), "os: natstorm"),
        (lambda testbed: testbed.devices["gateway"].custom.update(users=7), "custom:@gateway"),
        (lambda testbed: testbed.devices["nat"].connections.cli.update(port=23), "ip: 10.99.0.2"),
        (lambda testbed: testbed.custom.allow.update(packets_per_s=1), "  custom:"),
    ],
    ids=["system", "own values", "connection", "allowance"],
)
def test_a_disagreement_is_told(bench, loader, monkeypatch, spoil, text):
    real = loader.load

    def otherwise(what):
        testbed = real(what)
        spoil(testbed)
        return testbed

    monkeypatch.setattr(loader, "load", otherwise)
    file = bench()
    with pytest.raises(UsageError, match="pyATS reads") as raised:
        load(file)
    text, _, device = text.partition("@")
    lines = file.read_text().splitlines()
    start = lines.index(f"  {device}:") if device else 0
    assert raised.value.line == next(number for number, line in enumerate(lines, 1) if number > start and text in line)


def test_what_it_does_not_take_is_told(bench, loader, monkeypatch):
    def refuse(what):
        raise RuntimeError("no, \n  not this")

    monkeypatch.setattr(loader, "load", refuse)
    with pytest.raises(UsageError, match="pyATS does not take it: no, not this"):
        load(bench())


@pytest.mark.parametrize("taken", [False, True], ids=["not taken", "read otherwise"])
def test_what_a_variable_holds_is_not_shown(bench, loader, monkeypatch, taken):
    monkeypatch.setenv("NATSTORM_P", "hunter2")
    real = loader.load

    def load_it(what):
        if not taken:
            raise RuntimeError(f"no {what['testbed']['name']}")
        testbed = real(what)
        testbed.name = "another"
        return testbed

    monkeypatch.setattr(loader, "load", load_it)
    with pytest.raises(UsageError, match=r"%ENV\{NATSTORM_P\}") as raised:
        load(bench(("name: bench-in-a-box", 'name: "%ENV{NATSTORM_P}"')))
    assert "hunter2" not in str(raised.value)
