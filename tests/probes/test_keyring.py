from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.errors import CaptureError
from harness.probes.keyring import parse_keys, read_keys

ESP: dict[str, Any] = {"client": "c1", "kind": "esp", "spi": "c0FFee01", "direction": "in"}
ESP |= {"encryption": "aes-128", "authentication": "sha1", "key": "00" * 16, "auth_key": "11" * 20}
IKE: dict[str, Any] = {"client": "c1", "kind": "ike", "icookie": "01" * 8, "rcookie": "02" * 8, "hash": "sha1"}
IKE |= {"encryption": "3des", "key": "33" * 24, "iv": "44" * 8}


def test_reads_both_kinds_and_shows_no_key(tmp_path: Path) -> None:
    (tmp_path / "keys.jsonl").write_text(json.dumps(ESP) + "\n\n" + json.dumps(IKE) + "\n" + json.dumps(ESP) + "\n")
    ring = read_keys(tmp_path / "keys.jsonl")
    (esp,) = ring.esp["c0ffee01"]
    assert (esp.client, esp.direction, esp.auth_key) == ("c1", "in", b"\x11" * 20)
    assert ring.ike["01" * 8, "02" * 8].iv == b"\x44" * 8
    assert "3333" not in repr(ring)
    assert "x11" not in repr(ring)


def test_keeps_every_sa_of_one_spi() -> None:
    ring = parse_keys([json.dumps(ESP), json.dumps(ESP | {"key": "22" * 16})])
    assert [key.key[0] for key in ring.esp["c0ffee01"]] == [0, 0x22]


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "tls"},
        {"spi": "123"},
        {"spi": "zzzzzzzz"},
        {"direction": "up"},
        {"encryption": "rot13"},
        {"authentication": "crc"},
        {"key": "00"},
        {"key": None},
    ],
)
def test_names_file_and_line_of_a_bad_key(change: dict[str, Any]) -> None:
    with pytest.raises(CaptureError, match="run:2: "):
        parse_keys([json.dumps(ESP), json.dumps(ESP | change)], "run")


def test_refuses_an_iv_of_the_wrong_length() -> None:
    with pytest.raises(CaptureError, match="iv has 16 bytes, 3des takes 8"):
        parse_keys([json.dumps(IKE | {"iv": "44" * 16})])


def test_refuses_what_is_no_json() -> None:
    with pytest.raises(CaptureError, match="run:1"):
        parse_keys(["{"], "run")
