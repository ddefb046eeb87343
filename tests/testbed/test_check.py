"""`natstorm check`: every mistake of a file in one pass, and what is said where there is none."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from testbed_text import TESTBEDS, variables

from harness import cli
from harness.errors import UsageError
from harness.testbed import check, check_any, examine, load, load_any

TEN = [
    ("      username: root", "      usrname: root"),
    ("- 10.0.0.0/20 ", "- 10.0.0.0/40 "),
    ("first: 10.0.0.2 ", "first: 10.0.0.256 "),
    ("psk: sharedsecret", 'psk: "%ENV{NATSTORM_NOT_SET}"'),
    ("    type: nat\n", "    typ: nat\n"),
    ("ip: 10.99.0.2", "ip: 209.265.200.231"),
    ("0.3, port: 22", "0.3, port: abc"),
    ("        - clear\n", "        - clera\n"),
    ("inside0: {type: ethernet, ", "inside0: {"),
    ("ipv4: 198.51.100.10/24", "ipv4: 198.51.101.10/24"),
]
"""One mistake each, in the order of their lines."""


def test_ten_mistakes_are_ten(bench, capsys):
    file = bench(*TEN)
    assert cli.main(["check", str(file)]) == 2
    said = capsys.readouterr().out.splitlines()
    text = file.read_text().splitlines()
    places = [int(line.removeprefix(f"{file}:").split(":")[0]) for line in said[:-1:2]]
    assert places == sorted(places)
    marks = ["usrname", "/40", ".256", "NOT_SET", "typ: nat", "209.265", "abc", "clera", "inside0", "101.10"]
    assert [next(mark for mark in marks if mark in text[place - 1]) for place in places] == marks
    assert all(line.startswith("  cure: ") for line in said[1:-1:2])
    assert said[-1] == f"{file}: 10 mistakes"


def test_each_of_the_ten_alone_is_one(bench):
    for pair in TEN:
        assert len(examine(bench(pair)).mistakes) == 1, pair


def test_a_file_in_order_is_one_line(bench, capsys):
    file = bench()
    assert cli.main(["check", str(file)]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{file}: in order: 3 devices reached (nat by ssh at 10.99.0.2, ")
    assert line.endswith(", 1000 clients at most")


def test_secrets_that_will_be_asked_for_are_counted_and_not_asked_for(bench, capsys, monkeypatch):
    monkeypatch.setattr("getpass.getpass", lambda prompt: pytest.fail("asked"))
    file = bench(
        ("psk: sharedsecret", 'psk: "%ASK{the key}"'),
        ('password: "pw{number}"', 'password: "%ASK{the key}"'),
        ("      username: root\n", '      username: root\n      password: "%ASK{root}"\n'),
    )
    assert cli.main(["check", str(file)]) == 0
    assert capsys.readouterr().out.endswith(", 2 secrets asked for at the start\n")


def test_as_json(bench, capsys):
    good, bad = TESTBEDS / "virtual.yaml", bench(("0.3, port: 22", "0.3, port: abc"))
    assert cli.main(["check", "--json", str(good), str(bad), "absent.yaml"]) == 2
    first, second, third = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert first == {"version": 1, "file": str(good), "ok": True, "mistakes": []}
    (mistake,) = second["mistakes"]
    assert (second["ok"], second["file"]) == (False, str(bad))
    assert set(mistake) == {"line", "problem", "cure"}
    assert "port: abc" in bad.read_text().splitlines()[mistake["line"] - 1]
    assert third["mistakes"][0]["line"] is None


def test_no_file_is_a_mistake_of_usage(capsys):
    assert cli.main(["check"]) == 2
    assert "no file is named" in capsys.readouterr().err


def test_what_is_raised_is_the_first_and_counts_the_others(bench):
    file = bench(*TEN)
    for reader in (check, load):
        with pytest.raises(UsageError) as raised:
            reader(file)
        assert "usrname" in file.read_text().splitlines()[raised.value.line - 1]
        assert "and 9 more mistakes" in raised.value.cure
        assert f"check {file}" in raised.value.cure


@pytest.mark.parametrize("words", [["check", "--schema"], ["check", str(TESTBEDS / "virtual.yaml")]], ids=["schema", "file"])
def test_it_starts_without_pyats(words):
    program = (
        "import sys; from harness import cli; status = cli.main(sys.argv[1:]);"
        "sys.exit(status or any(name.split('.')[0] in ('pyats', 'unicon', 'genie') for name in sys.modules))"
    )
    ended = subprocess.run([sys.executable, "-c", program, *words], stdout=subprocess.DEVNULL, timeout=120, check=False)
    assert ended.returncode == 0


SHIPPED = sorted(TESTBEDS.glob("*.yaml"), key=lambda file: file.name)
EXAMPLES = [file for file in SHIPPED if variables(file)]


def test_what_is_shipped():
    names = [file.name for file in SHIPPED]
    boxes = [*(f"bench-in-a-box-{one}.yaml" for one in ("esp", "ios", "lac-lns", "linux")), "bench-in-a-box.yaml"]
    there = ["eve-ng.yaml", "gns3.yaml", "hardware-esp.yaml", "hardware-lac-lns.yaml", "hardware.yaml"]
    assert names == [*boxes, *there, "linux.yaml", "virtual-ios.yaml", "virtual.yaml"]
    assert [file.name for file in EXAMPLES] == names[:10]


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_a_shipped_testbed_is_in_order_once_its_variables_are_set(file, box, monkeypatch):
    for name in variables(file) - {"NATSTORM_BOX"}:
        monkeypatch.setenv(name, f"value of {name}")
    assert examine(file).mistakes == ()
    assert load_any(file) == check_any(file)


def test_the_host_that_the_example_has_in_its_comments_is_in_order(box, monkeypatch, tmp_path):
    """Each part of it: with all but one there is a mistake."""
    file = TESTBEDS / "hardware.yaml"
    for name in variables(file):
        monkeypatch.setenv(name, "x")
    head, begin, rest = file.read_text().partition("\ntestbed:")
    lines = rest.splitlines()
    hidden = [number for number, line in enumerate(lines) if line.startswith("#")]
    assert hidden
    taken_in = tmp_path / "hardware.yaml"

    def without(left_out=None):
        text = "\n".join(line[1:] if number in hidden and number != left_out else line for number, line in enumerate(lines))
        taken_in.write_text(f"{head}{begin}{text}\n")
        return examine(taken_in)

    found = without().testbed
    assert found.gateway.end_host_connection.host == "192.168.50.4"
    assert (found.gateway.lan.name, found.gateway.end_host.host) == ("GigabitEthernet0/2", "198.51.100.10")
    assert check(file).gateway.end_host is None
    assert all(without(number).mistakes for number in hidden)


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_each_variable_that_is_not_set_is_named_once(file, box, monkeypatch):
    monkeypatch.delenv("NATSTORM_BOX")
    told = examine(file).mistakes
    named = [mistake.problem.split("variable ")[1].split()[0] for mistake in told]
    assert sorted(named) == sorted(variables(file))
    lines = file.read_text().splitlines()
    assert all(name in lines[mistake.line - 1] and name in mistake.cure for name, mistake in zip(named, told, strict=True))


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_no_variable_s_value_is_shown(file, box, monkeypatch, tmp_path, capsys):
    """Neither of a good file nor of one in which it is the mistake."""
    planted = "planted-5ecret"
    for name in variables(file) - {"NATSTORM_BOX"}:
        monkeypatch.setenv(name, planted)
    broken = tmp_path / "broken.yaml"
    text = file.read_text().replace("password:", "passwrd:").replace("first: 10", "first: 310")
    broken.write_text(text)
    assert cli.main(["check", str(file)]) == 0
    assert cli.main(["check", str(broken)]) == 2
    said = capsys.readouterr()
    assert planted not in said.out + said.err
    assert planted not in repr(check_any(file))


def test_a_value_that_holds_itself_is_a_mistake_beside_the_others(tmp_path):
    file = tmp_path / "round.yaml"
    file.write_text("devices: &all\n  nat: *all\ntopology: 5\n")
    told = [(mistake.line, mistake.problem.split(" (")[0]) for mistake in examine(file).mistakes]
    assert (2, "a value holds itself") in told
    assert (3, "a mapping was expected in topology") in told


def test_a_file_of_endless_aliases_ends(tmp_path):
    file = tmp_path / "laughs.yaml"
    rows = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 7)]
    file.write_text("l0: &l0 [x, x, x]\n" + "\n".join(rows) + "\n")
    (mistake,) = examine(file).mistakes
    assert mistake.problem == "the file is nested too deeply, or too large"


VALUES = ("", "[]", "{}", "5", "~", "yes", "[{a: b}]", "1.2")


@pytest.mark.parametrize("seed", range(8))
def test_whatever_stands_there_is_told_and_never_a_crash(bench, tmp_path, seed):
    """Lines lost, doubled, moved or bitten: there is a testbed, or there are mistakes in lines of the file."""
    chance = random.Random(seed)
    lines = bench().read_text().splitlines()
    file = tmp_path / "mutant.yaml"
    for _ in range(40):
        mutant = list(lines)
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(mutant))
            match chance.randrange(5):
                case 0:
                    del mutant[at]
                case 1:
                    mutant.insert(at, mutant[at])
                case 2:
                    mutant.insert(at, mutant.pop(chance.randrange(len(mutant))))
                case 3:
                    bite = chance.randrange(len(mutant[at]) + 1)
                    mutant[at] = mutant[at][:bite] + chance.choice("{}[]%:-#&*! 7x") + mutant[at][bite + 1 :]
                case _:
                    mutant[at] = mutant[at].split(":")[0] + ": " + chance.choice(VALUES)
        file.write_text("\n".join(mutant) + "\n")
        told = examine(file)
        assert (told.testbed is None) == bool(told.mistakes)
        assert all(one.line is None or 1 <= one.line <= len(mutant) for one in told.mistakes)
        assert all(one.problem and one.cure for one in told.mistakes)
