"""Which parser a command is given to, `natstorm parse ios`, and the ways in for pyATS users."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import pytest
from ios_families import SAMPLES, translations

from harness import cli
from harness.devices import ios
from harness.devices.ios.commands import COMMANDS, find, parse
from harness.devices.ios.reading import read, seconds
from harness.errors import UsageError


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("show crypto map", "show crypto map"),
        ("sh cry ma", "show crypto map"),
        ("show crypto map interface FastEthernet0/0", "show crypto map"),
        ("show crypto map interface FastEthernet 0/0", "show crypto map"),
        ("SHOW Crypto MAP tag l2tpsec", "show crypto map"),
        ("sh cr dyn t DYN_MAP", "show crypto dynamic-map"),
        ("sh cry ips sa", "show crypto ipsec sa"),
        ("show crypto ipsec sa peer 10.0.0.1 detail", "show crypto ipsec sa"),
        ("sh cry isa sa", "show crypto isakmp sa"),
        ("sh cry isa sa det", "show crypto isakmp sa detail"),
        ("sh cry eng conn act", "show crypto engine connections active"),
        ("sh cry ses d", "show crypto session"),
        ("sh ip nat trans", "show ip nat translations"),
        ("sh ip nat trans esp", "show ip nat translations"),
        ("show ip nat translation esp verbose", "show ip nat translations"),
        ("sh ip nat tr vrf red udp verb", "show ip nat translations"),
        ("sh vpdn", "show vpdn"),
        ("sh vpdn tun", "show vpdn tunnel"),
        ("sh vpdn session l2tp", "show vpdn session"),
        ("sh l2tp", "show l2tp"),
        ("sh l2 t", "show l2tp tunnel"),
        ("sh ip loc po", "show ip local pool"),
        ("sh ip loc po vrf", "show ip local pool"),
        ("sh us", "show users"),
        ("sh int vi1", "show interfaces"),
        ("show interfaces virtual-access 1", "show interfaces"),
        ("sh ver", "show version"),
        ("sh run", "show running-config"),
        ("sh run | section crypto map", "show running-config"),
        ("show running-config interface FastEthernet0/0", "show running-config"),
        ("sh vpdn | include est", "show vpdn"),
        ("deb cry soc", "debug crypto socket"),
        ("debug vpdn l2x-events", "debug vpdn l2x-events"),
    ],
)
def test_a_command_is_found_however_it_is_abbreviated(typed, words):
    assert find(typed).words == words


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("sh cry i sa", '"i" in "sh cry i sa" could be ipsec or isakmp'),
        ("show cripto map", "did you mean show crypto map"),
        ("show crypto session detial", "did you mean show crypto session"),
        ("show ip nat translations esp esp", "did you mean show ip nat translations"),
        ("show ip nat translations v", "did you mean show ip nat translations"),
        ("show ip nat translations vrf", "did you mean show ip nat translations"),
        ("show crypto map tag", "did you mean show crypto map"),
        ("show ip local pool A B", "did you mean show ip local pool"),
        ("show crypto", "no parser knows the command"),
        ("banana", "debug vpdn l2x-events"),
        ("", "debug vpdn l2x-events"),
    ],
)
def test_an_unknown_command_is_told_with_what_is_close(typed, told):
    with pytest.raises(UsageError) as caught:
        parse(typed, "")
    assert told in str(caught.value)


def test_every_command_of_the_table_is_in_the_documentation():
    documented = (SAMPLES.parents[3] / "docs" / "parsers.md").read_text()
    for one in COMMANDS:
        assert f"`{one.words}" in documented, one.words


# --- the terminal ---


def test_a_prompt_says_that_the_text_is_whole():
    assert read("a\nb").broken == "b"
    assert read("a\nb").cut == "the text ends in the middle of a line"
    assert read("a\nR1#").lines == ("a",)
    assert read("a\nR1#").cut == read("a\nR1(config-if)#\n").cut == ""
    assert read("a\nR1#\n").lines == ("a", "")
    assert read("R1#sh vpdn\r\na\r\n").lines == ("", "a")
    assert read("a\nb --More-- ").cut == "the text ends at --More--"


def test_the_time_before_an_output_is_none_of_it():
    stamped = "R1#sh us\nLoad for five secs: 14%/0%; one minute: 23%; five minutes: 31%\nTime source is NTP, 16:53:22.622 EST\n\n"
    assert read(f"{stamped}a\nTime source is mine\n").lines == ("", "", "", "", "a", "Time source is mine")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("00:04:59", 299), ("01:58", 7080), ("3d18h", 324000), ("7w0d", 4233600), ("1y2w", 32745600), ("never", None), ("", None)],
)
def test_times(text, expected):
    assert seconds(text) == expected


# --- natstorm parse ios ---


def run(monkeypatch, capsys, *arguments, text=""):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    status = cli.main(["parse", "ios", *arguments])
    said = capsys.readouterr()
    return status, said.out, said.err


def test_a_whole_output_from_standard_input(monkeypatch, capsys):
    text = (SAMPLES / "nat_translations/esp.txt").read_text()
    status, out, err = run(monkeypatch, capsys, "sh ip nat trans esp", text=text)
    assert (status, err) == (0, "")
    first, second = out.splitlines()
    assert first.startswith("Translation: protocol=esp inside_global=192.168.22.40 ")
    assert "outside_spi=28726cd9" in first
    assert "inside_spi=2e59eef5" in second


def test_what_was_not_read_is_told_with_its_line(monkeypatch, capsys, tmp_path):
    file = tmp_path / "vpdn.txt"
    file.write_text((SAMPLES / "vpdn/12.3.txt").read_text().replace("%No active L2F", "%Some active L2F") + "1 2 3")
    status, out, err = run(monkeypatch, capsys, "show vpdn", str(file))
    assert status == 1
    assert len(out.splitlines()) == 2
    assert err == (
        f"{file}:10: not read: %Some active L2F tunnels\n{file}:12: not read: 1 2 3\n"
        f"{file}: cut off: the text ends in the middle of a line\n"
    )


def test_a_cut_alone_is_told_too(monkeypatch, capsys):
    whole = (SAMPLES / "crypto_map/15.txt").read_text()
    status, out, err = run(monkeypatch, capsys, "show crypto map", text=whole[: whole.index("        Interfaces using")])
    assert status == 1
    assert out.startswith("CryptoMapEntry: name=CMAP sequence=10 ")
    assert err == 'standard input: cut off: what interfaces use crypto map "CMAP" is not told\n'


def test_json_holds_rows_and_lines(monkeypatch, capsys):
    text = translations(2) + "what is this?\n"
    status, out, _ = run(monkeypatch, capsys, "show ip nat translations", "--json", text=text)
    found = json.loads(out)
    assert status == 1
    assert found["command"] == "show ip nat translations"
    assert [row["inside_global_port"] for row in found["rows"]] == [1024, 1025]
    assert found["rows"][0]["type"] == "Translation"
    assert found["unread"] == [{"line": 4, "text": "what is this?"}]
    assert found["cut"] is None


def test_many_lines_that_were_not_read_are_counted(monkeypatch, capsys):
    status, out, err = run(monkeypatch, capsys, "show users", text="nonsense\n" * 50)
    assert (status, out) == (1, "")
    assert len(err.splitlines()) == 21
    assert "and 30 more lines that were not read" in err


def test_secrets_are_not_printed(monkeypatch, capsys):
    whole = (SAMPLES / "running_config/demux-lns.txt").read_text()
    cut = whole[: whole.index(" login local")]
    for text, status in ((whole, 0), (cut, 1)):
        for arguments in (["show running-config"], ["show running-config", "--json"]):
            ended, out, err = run(monkeypatch, capsys, *arguments, text=text)
            assert ended == status
            for secret in ("opensesame", "letmein", "0822455D0A16"):
                assert secret not in out + err
            assert "***" in out


def test_mistakes_in_the_usage(monkeypatch, capsys, tmp_path):
    status, out, err = run(monkeypatch, capsys, "show cripto map", text="x")
    assert (status, out) == (2, "")
    assert "did you mean show crypto map" in err
    status, _, err = run(monkeypatch, capsys, "show vpdn", str(tmp_path / "none"))
    assert status == 2
    assert f"{tmp_path / 'none'}: cannot be read: No such file or directory" in err
    assert run(monkeypatch, capsys)[0] == 2


def test_the_list_of_commands(monkeypatch, capsys):
    status, out, _ = run(monkeypatch, capsys, "--list")
    assert status == 0
    assert len(out.splitlines()) == len(COMMANDS)
    assert "show crypto map [interface X] [tag X]" in out.splitlines()


def test_what_is_no_text_is_read_too(monkeypatch, capsys, tmp_path):
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    assert run(monkeypatch, capsys, "show vpdn", str(tmp_path / "binary"))[0] == 1


# --- for pyATS users ---


class Device:
    """Answers as unicon does: the output without the prompt and the last line feed."""

    def __init__(self, output):
        self.output = output
        self.asked = []

    def execute(self, command):
        self.asked.append(command)
        return self.output


def test_a_device_is_asked_and_its_answer_is_whole():
    device = Device(translations(3).rstrip("\n"))
    found = ios.parse_on(device, "sh ip nat trans")
    assert device.asked == ["sh ip nat trans"]
    assert (len(found.rows), found.unread, found.cut) == (3, (), "")
    with pytest.raises(UsageError):
        ios.parse_on(device, "show nonsense")
    assert len(device.asked) == 1


IN_PYATS = """
import sys
from pyats.topology import loader
testbed = loader.load({
    "testbed": {"name": "lab"},
    "devices": {"lns": {
        "os": "ios", "type": "router", "class": "harness.devices.ios.pyats_device.IosDevice",
        "connections": {"cli": {"class": "stand_in.Connection"}},
    }},
})
lns = testbed.devices["lns"]
lns.connect()
print(lns.parse("show users").rows)
print(len(lns.parse("sh vpdn", output="%No active L2TP tunnels\\n").rows), "genie" in sys.modules)
"""

STAND_IN = """
from pyats.connections import BaseConnection

class Connection(BaseConnection):
    connected = False
    def connect(self): self.connected = True
    def disconnect(self): pass
    def execute(self, command): return "    Line       User       Host(s)              Idle       Location\\n* 1 vty 0  bob idle  00:00:00 10.0.0.9"
    def configure(self, *_): pass
    def send(self, *_): pass
    def receive(self, *_): pass
    def log_user(self, *_): pass
"""  # noqa: E501


def test_device_parse_in_pyats_without_genie(tmp_path):
    """In a process of its own: pyATS puts its hands on logging and on the import machinery."""
    pytest.importorskip("pyats.topology", reason="pyATS is not installed")
    (tmp_path / "stand_in.py").write_text(STAND_IN)
    root = str(SAMPLES.parents[3])
    script = f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {root!r}]\n{IN_PYATS}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "LineUser(line='vty 0', number=1, own=True, user='bob', host='idle', idle_s=0, location='10.0.0.9')" in done.stdout
    assert done.stdout.splitlines()[-1] == "0 False"
