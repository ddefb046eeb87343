from __future__ import annotations

import base64
import html
import json

import pytest

from harness.model import Secret
from harness.report.redact import Redactor


@pytest.mark.parametrize("secret", ["sharedsecret", 'quo"ted<&>back\\slash', "schlüssel-ß-密", "pw1", "a\nb\tc"])
def test_a_secret_is_masked_however_a_log_writes_it(secret: str) -> None:
    redactor = Redactor([Secret(secret)])
    raw = secret.encode()
    for form in (
        secret,
        json.dumps(secret),
        json.dumps(secret, ensure_ascii=False),
        html.escape(secret),
        repr(raw),
        raw.hex(),
        raw.hex().upper(),
        base64.b64encode(raw).decode(),
    ):
        clean = redactor.text(f"before [{form}] after")
        assert form not in clean
        assert "***" in clean
        assert clean.startswith("before [")
        assert clean.endswith("] after")


def test_a_short_secret_does_not_eat_into_other_words() -> None:
    redactor = Redactor([Secret("pw1")])
    assert redactor.text("pw1 pw10 xpw1 'pw1'") == "*** pw10 xpw1 '***'"


def test_the_longer_of_two_secrets_is_masked_whole() -> None:
    redactor = Redactor([Secret("secret"), Secret("secret-longer")])
    assert redactor.text("secret-longer") == "***"


def test_secrets_may_be_added_later_and_empty_ones_are_none() -> None:
    redactor = Redactor([Secret("")])
    assert redactor.text("anything") == "anything"
    redactor.add(Secret("anything"))
    assert redactor.text("anything") == "***"


def test_values_are_cleaned_all_the_way_down() -> None:
    redactor = Redactor([Secret("hushhush")])
    value = {"hushhush": ["hushhush", 1, None, True, {"k": b"hushhush"}], "n": 1.5, "own": Secret("hushhush")}
    assert redactor.value(value) == {"***": ["***", 1, None, True, {"k": "***"}], "n": 1.5, "own": "***"}
