"""Every personality loads and builds; every mistake in one is told with file, line and cure."""

import pytest

from harness.errors import UsageError
from harness.nat import load, names
from harness.nat.personality import FOLDER, read_file

PAT = (FOLDER / "pat.yaml").read_text()
LOSSY = (FOLDER / "lossy.yaml").read_text()

WANTED = {
    "alg", "cookie-helper", "endpoint-independent", "esp-helper", "lossy", "masquerade-511", "none", "overloading", "pat",
    "preserving", "single-client", "small-table", "symmetric", "timer-30",
}  # fmt: skip


def test_all_are_there_and_load():
    assert set(names()) >= WANTED
    assert len({load(name).title for name in names()}) == len(names())


def test_an_unknown_one_is_refused_with_those_that_there_are():
    with pytest.raises(UsageError, match="no NAT is called 'pta'") as caught:
        load("pta")
    assert "pat" in caught.value.cure


@pytest.mark.parametrize(
    ("text", "old", "new", "problem"),
    [
        (PAT, "udp_s: 30", "udp_s: 0", "seconds above zero"),
        (PAT, "udp_s: 30", "udp_s: soon", "is str"),
        (PAT, "udp_s: 30", "udp_sec: 30", "no such key"),
        (PAT, "    icmp_s: 30\n", "", "missing: icmp_s"),
        (PAT, "kind: kernel", "kind: kernels", "'kernels' is not known"),
        (PAT, "first: 1024", "first: 0", "out of range"),
        (PAT, "last: 65535", "last: 1000", r"out of range \(1024 to 65535\)"),
        (PAT, "mapping: address-and-port-dependent", "mapping: symmetric", "'symmetric' is not known"),
        (PAT, "mapping: address-and-port-dependent", "mapping: endpoint-independent", "serves several bindings"),
        (PAT, "filtering: address-and-port-dependent", "filtering: address-dependent", "serves several bindings"),
        (PAT, "esp: first-client", "esp: cookie", "'cookie' is not known"),
        (PAT, "payload_octets: null", "payload_octets: 5", "out of range"),
        (PAT, "limit: 262144", "limit: 0", "out of range"),
        (PAT, "overload: true", "overload: yes please", "bool is wanted"),
        (PAT, "impairments: null", "impairments: {up: null}", "missing: down"),
        (LOSSY, "loss: 0.02", "loss: 2", "probability"),
        (LOSSY, "mtu: null", "mtu: 20", "out of range"),
        (PAT, "title:", "titel:", "no such key"),
        (PAT, "translation:", "translation: []\nrest:", "no such key"),
        (PAT, PAT, "", "the file is empty"),
        (PAT, PAT, "[", "not YAML"),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path, text, old, new, problem):
    assert old in text
    path = tmp_path / "mine.yaml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(UsageError, match=problem) as caught:
        read_file(path)
    assert caught.value.file == str(path)
    if new and "missing" not in problem and "YAML" not in problem:
        key = caught.value.problem.partition(": ")[0].rpartition(".")[2]
        assert key in path.read_text().splitlines()[caught.value.line - 1]
