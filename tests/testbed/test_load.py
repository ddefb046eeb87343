"""Testbed files: what a good one gives, and that every mistake is told with its file, its line and a cure."""

import subprocess
import sys
from pathlib import Path

import pytest

from harness.devices import linux_config
from harness.errors import UsageError
from harness.model.secret import Secret
from harness.model.testbed import GATEWAY_VARIANTS, VIRTUAL_VARIANTS
from harness.testbed import check, load

LINUX = Path(__file__).parents[2] / "testbeds" / "linux.yaml"
VIRTUAL = LINUX.with_name("virtual.yaml")


@pytest.fixture
def edited(tmp_path):
    """A copy of linux.yaml with one text replaced; returns its path and the number of the line where the new text stands."""

    def edit(old: str, new: str) -> tuple[Path, int]:
        text = LINUX.read_text()
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {LINUX}"
        file = tmp_path / "edited.yaml"
        file.write_text(text.replace(old, new))
        return file, text[: text.index(old)].count("\n") + 1

    return edit


def test_the_linux_testbed():
    testbed = check(LINUX)
    assert (testbed.name, testbed.file) == ("linux", str(LINUX))
    assert (testbed.clients.prefix, testbed.clients.first, testbed.clients.capacity) == ("10.0.0.0/24", "10.0.0.2", 253)
    assert (testbed.clients.interface.host, testbed.nat.inside.host) == ("192.0.2.2", "192.0.2.1")
    assert (testbed.nat.outside.host, testbed.gateway.address) == ("203.0.113.232", "203.0.113.231")
    assert (testbed.nat.first_port, testbed.nat.last_port) == (1024, 65535)
    assert testbed.gateway.variants == GATEWAY_VARIANTS
    assert (testbed.gateway.pool_first, testbed.gateway.pool_last) == ("172.16.1.10", "172.16.1.200")


def test_the_plans_of_its_clients():
    first, second = check(LINUX).plans(2)
    assert (first.name, first.address, first.gateway, first.user) == ("c1", "10.0.0.2", "203.0.113.231", "user1")
    assert (first.psk, first.password) == (Secret("sharedsecret"), Secret("pw1"))
    assert (second.name, second.address, second.user, second.password) == ("c2", "10.0.0.3", "user2", Secret("pw2"))


def test_more_clients_than_the_prefix_holds():
    clients = check(LINUX).clients
    assert clients.address(253) == "10.0.0.254"
    with pytest.raises(ValueError, match="room for 253"):
        clients.address(254)


def test_secrets_do_not_print_themselves():
    testbed = check(LINUX)
    assert "sharedsecret" not in repr(testbed)
    assert "pw" not in repr(testbed.plans(1)).replace("pw'", "")


def test_pyats_reads_the_same():
    assert load(LINUX) == check(LINUX)


def test_the_strict_reading_loads_no_pyats():
    program = f"import sys; from harness.testbed import check; check({str(LINUX)!r}); sys.exit('pyats.topology' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_the_variants_are_those_of_the_gateway():
    assert set(GATEWAY_VARIANTS) == set(linux_config.variants())


MISTAKES = {
    "key of a device": ("    type: nat\n", "    typ: nat\n", "'typ' is not known in devices.nat", "did you mean 'type'"),
    "key below custom": ("udp_timeout_s", "udp_timeot_s", "'udp_timeot_s' is not known in devices.nat.custom", "'udp_timeout_s'"),
    "section": ("topology:", "topolgy:", "'topolgy' is not known in the file", "'topology'"),
    "device": ("  gateway:\n    type", "  gatway:\n    type", "'gatway' is not known in devices", "'gateway'"),
    "address of an interface": ("203.0.113.231/24", "209.265.200.231/24", "ipv4: '209.265.200.231/24' is not an IPv4", "231/24"),
    "address without length": ("203.0.113.231/24", "203.0.113.231", "the prefix length is missing", "203.0.113.231/24"),
    "network for an address": ("203.0.113.231/24", "203.0.113.0/24", "no host's address in 203.0.113.0/24", "between"),
    "address of the first client": ("first: 10.0.0.2 ", "first: 10.0.0.256 ", "first: '10.0.0.256' is not an IPv4", "0 to 255"),
    "first client elsewhere": ("first: 10.0.0.2 ", "first: 10.0.1.2 ", "10.0.1.2 is no host's address in 10.0.0.0/24", "within"),
    "prefix": ("prefix: 10.0.0.0/24", "prefix: 10.0.0.1/24", "is not an IPv4 prefix", "no bits below"),
    "prefix on a link": ("prefix: 10.0.0.0/24", "prefix: 192.0.2.0/24", "overlaps the link inside", "routed"),
    "variant": ("- demux-kernel", "- demux-kernal", "'demux-kernal' is not known", "one of plain-kernel"),
    "variant twice": ("- demux-kernel", "- plain-kernel", "'plain-kernel' is listed twice", "remove one"),
    "transport": ("transport: auto", "transport: tun", "transport: 'tun' is not known", "auto, tap, raw"),
    "ports": ("1024-65535", "65535-1024", "outside_ports: '65535-1024' is not a range of ports", "1024-65535"),
    "ports too high": ("1024-65535", "1024-65536", "is not a range of ports", "1024-65535"),
    "pool backwards": ("172.16.1.10-172.16.1.200", "172.16.1.200-172.16.1.10", "runs backwards", "lower"),
    "time-out": ("udp_timeout_s: 30", "udp_timeout_s: 30 s", "'30 s' is not a whole number", "30"),
    "count below 1": ("users: 100", "users: 0", "users: 0 is not a whole number from 1", "30"),
    "empty secret": ("psk: sharedsecret", 'psk: ""', "psk: '' is not a text", "quotes"),
    "secret of two lines": ("psk: sharedsecret", 'psk: "shared\\nsecret"', "a secret with a line break", "one line"),
    "no link": ("link: inside, ipv4: 192.0.2.2/30", "ipv4: 192.0.2.2/30", "'link' is missing", "add"),
    "link that ends nowhere": ("inside, ipv4: 192.0.2.2/30", "insite, ipv4: 192.0.2.2/30", "where the NAT is not", "outside"),
    "one prefix a link": ("192.0.2.2/30", "192.0.2.6/30", "clients is 192.0.2.6/30", "one prefix"),
    "address twice": ("192.0.2.2/30", "192.0.2.1/30", "the NAT at the other end of the link 192.0.2.1/30", "different"),
    "interface name": ("inside0:", "inside-interface-0:", "cannot be an interface's name", "1 to 15"),
    "key twice": ("      psk: sharedsecret", "      first: 10.0.0.3\n      psk: x", "'first' stands here twice", "remove"),
    "syntax": ("psk: sharedsecret", "psk: @secret", "not YAML", "syntax"),
    "not a mapping": ("    custom:\n      transport", "    custom: 5\n    alias:\n      transport", "a mapping was", "key"),
    "nothing": ("    custom:\n      outside", "    custom:\n    alias:\n      outside", "a mapping was expected", "{}"),
    "no environment variable": ("psk: sharedsecret", 'psk: "%ENV{NOT_SET_HERE}"', "NOT_SET_HERE is not set", "export"),
    "default of a variable": ("psk: sharedsecret", 'psk: "%ENV{A,b}"', "names no variable", "no default"),
    "system": ("    type: nat\n    os: linux", "    type: nat\n    os: ios", "nat is a 'ios'", "os: linux"),
    "personality of clients": (
        "personality: windows7",
        "personality: windows99",
        "personality: there is no personality 'windows99'",
        "did you mean 'windows98'?",
    ),
    "personality of the NAT": (
        "      outside_ports",
        "      personality: nonsense\n      outside_ports",
        "personality: there is no personality 'nonsense'",
        "one of alg, cookie-helper",
    ),
    "merge key": ("      outside_ports", "      <<: {}\n      outside_ports", "only plain keys", "write the entries out"),
}


@pytest.mark.parametrize(("old", "new", "problem", "cure"), MISTAKES.values(), ids=MISTAKES.keys())
def test_every_mistake_is_told_with_file_line_and_cure(edited, old, new, problem, cure):
    file, line = edited(old, new)
    with pytest.raises(UsageError) as caught:
        check(file)
    error = caught.value
    assert problem in error.problem
    assert error.file == str(file)
    assert error.line is not None
    # Where a text of several lines was replaced, the mistake is in one of them.
    assert line <= error.line <= line + max(1, new.count("\n"))
    assert cure in error.cure


@pytest.mark.parametrize(
    ("device", "next_part"), [("  clients:", "  nat:"), ("  nat:", "  gateway:"), ("  gateway:", "topology:")], ids=str.strip
)
def test_a_missing_device(tmp_path, device, next_part):
    text = LINUX.read_text()
    start = text.index(device, text.index("devices:"))
    file = tmp_path / "short.yaml"
    file.write_text(text[:start] + text[text.index(next_part, start) :])
    with pytest.raises(UsageError, match=rf"'{device.strip(' :')}' is missing in devices") as caught:
        check(file)
    assert caught.value.line == text[: text.index("devices:")].count("\n") + 1


@pytest.mark.parametrize("key", ["prefix:", "psk:", "user:", "password:", "first:", "ppp_address:", "ppp_pool:"])
def test_a_missing_value(tmp_path, key):
    lines = LINUX.read_text().splitlines(keepends=True)
    file = tmp_path / "short.yaml"
    file.write_text("".join(line for line in lines if not line.strip().startswith(key)))
    with pytest.raises(UsageError, match=rf"'{key[:-1]}' is missing in devices\.\w+\.custom") as caught:
        check(file)
    assert file.read_text().splitlines()[caught.value.line - 1].strip() == "custom:"


@pytest.mark.parametrize(
    ("text", "problem"), [("", "empty"), ("- 1\n", "mapping"), ("a: *b\n", "not YAML"), ("a: \x01\n", "not YAML")]
)
def test_a_file_that_is_no_testbed(tmp_path, text, problem):
    file = tmp_path / "x.yaml"
    file.write_text(text)
    with pytest.raises(UsageError, match=problem) as caught:
        check(file)
    assert caught.value.file == str(file)
    assert caught.value.cure


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="No such file") as caught:
        check(tmp_path / "absent.yaml")
    assert caught.value.cure


def test_a_variable_that_is_set(edited, monkeypatch):
    monkeypatch.setenv("NATSTORM_TEST_PSK", "from the environment")
    file, _ = edited("psk: sharedsecret", 'psk: "%ENV{NATSTORM_TEST_PSK}"')
    assert check(file).clients.psk == Secret("from the environment")
    assert load(file).clients.psk == Secret("from the environment")


def test_every_personality_that_there_is_may_be_named(edited):
    from harness.clients import personality
    from harness.nat.personality import names
    from harness.scenario.real_clients import REAL

    clients = {file.stem for file in personality.FOLDER.glob("*.yaml")} | {REAL}
    for name in sorted(clients):
        file, _ = edited("personality: windows7", f"personality: {name}")
        assert check(file).clients.personality == name
    for name in names():
        file, _ = edited("      outside_ports", f"      personality: {name}\n      outside_ports")
        assert check(file).nat.personality == name


def test_what_may_be_left_out(edited):
    file, _ = edited("    custom:\n      outside_ports: 1024-65535\n      udp_timeout_s: 30\n      udp_stream_timeout_s: 120\n", "")
    nat = check(file).nat
    assert (nat.first_port, nat.last_port, nat.udp_timeout_s, nat.udp_stream_timeout_s) == (1024, 65535, 30, 120)
    assert load(file).nat == nat


def test_the_virtual_testbed():
    testbed = check(VIRTUAL)
    assert testbed == load(VIRTUAL)
    assert (testbed.gateway.os, testbed.gateway.variants) == ("natstorm", VIRTUAL_VARIANTS)
    assert testbed.gateway.lan is not None
    assert testbed.gateway.end_host is not None
    assert (testbed.gateway.address, testbed.gateway.lan.host) == ("203.0.113.231", "198.51.100.1")
    assert testbed.gateway.end_host.host == "198.51.100.10"
    assert testbed.most_clients >= 500


VIRTUAL_MISTAKES = {
    "a Linux gateway's variant": ("        - plain\n", "        - plain-kernel\n", "'plain-kernel' is not known", "demux, plain"),
    "another system": ("    os: natstorm", "    os: junos", "gateway is a 'junos'", "os: linux, natstorm or ios"),
    "no end host": (
        "  host:\n    type: host\n    os: linux\n    connections: {}\n\n",
        "\n",
        "'host' is not known in topology",
        "'host'",
    ),
    "an end host off the link": ("office, ipv4: 198.51.100.10", "ofice, ipv4: 198.51.100.10", "host is on link 'ofice'", "is on"),
    "an end host of another network": ("198.51.100.10/24", "198.51.101.10/24", "the gateway at the other end", "one prefix"),
}


@pytest.mark.parametrize(("old", "new", "problem", "cure"), VIRTUAL_MISTAKES.values(), ids=VIRTUAL_MISTAKES)
def test_a_mistake_in_a_virtual_testbed(tmp_path, old, new, problem, cure):
    text = VIRTUAL.read_text()
    assert text.count(old) == 1
    file = tmp_path / "edited.yaml"
    file.write_text(text.replace(old, new))
    with pytest.raises(UsageError) as told:
        check(file)
    assert problem in str(told.value)
    assert cure in str(told.value)
    assert told.value.line is not None
