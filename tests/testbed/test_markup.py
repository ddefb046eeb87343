"""%ENV{}, %ASK{} and %ENC{}: where a value comes from, and that a secret stays one."""

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.model.secret import Secret
from harness.testbed import check, examine, load, markup

PSK = "psk: sharedsecret"
PASSWORD = 'password: "pw{number}"'
LOGIN = "      username: root\n"


@pytest.fixture
def typist(monkeypatch):
    """Answers prompts, and keeps them; a terminal is there."""
    prompts = []

    def answer(prompt):
        prompts.append(prompt)
        return f"typed {len(prompts)}"

    monkeypatch.setattr(markup, "_ANSWERS", {})
    monkeypatch.setattr(markup, "_has_terminal", lambda: True)
    monkeypatch.setattr(markup.getpass, "getpass", answer)
    return prompts


def encoded(text: str) -> str:
    from pyats.utils.secret_strings import SecretString

    return SecretString.from_plaintext(text).data


def test_a_secret_is_asked_for_once_and_only_for_a_run(bench, typist):
    file = bench(
        (PSK, 'psk: "%ASK{lab key}"'),
        (PASSWORD, 'password: "%ASK{lab key}"'),
        (LOGIN, LOGIN + '      password: "%ASK{}"\n'),
    )
    checked = check(file)
    assert typist == []
    loaded = load(file)
    assert [prompt.split(" (")[0] for prompt in typist] == ["testbed.credentials.default.password", "lab key"]
    assert (loaded.clients.psk, loaded.clients.password) == (Secret("typed 2"), Secret("typed 2"))
    assert {one.password for one in loaded.connections} == {Secret("typed 1")}
    assert load(file) == loaded
    assert checked.clients.psk.reveal() == "typed 2"
    assert len(typist) == 2


def test_what_was_typed_goes_with_the_testbed_and_shows_nowhere(bench, typist):
    loaded = load(bench((PSK, 'psk: "%ASK{lab key}"')))
    assert pickle.loads(pickle.dumps(loaded)).clients.psk.reveal() == "typed 1"
    assert "typed 1" not in repr(loaded)


def test_a_secret_to_be_typed_does_not_print_itself(bench, typist):
    psk = check(bench((PSK, 'psk: "%ASK{lab key}"'))).clients.psk
    psk.reveal()
    assert (repr(psk), str(psk)) == ("***", "***")


@pytest.mark.parametrize("answer", ["", None], ids=["nothing typed", "terminal ended"])
def test_nothing_typed_is_an_error(bench, typist, monkeypatch, answer):
    def say(prompt):
        if answer is None:
            raise EOFError
        return answer

    monkeypatch.setattr(markup.getpass, "getpass", say)
    with pytest.raises(UsageError, match="the secret 'lab key' cannot be asked for"):
        load(bench((PSK, 'psk: "%ASK{lab key}"')))


def test_without_a_terminal_the_line_and_another_way_are_named(bench):
    file = bench((PSK, 'psk: "%ASK{lab key}"'))
    program = f"from harness.testbed import load\nload({str(file)!r})"
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[2], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
        start_new_session=True,
    )  # fmt: skip
    line = file.read_text().split("%ASK")[0].count("\n") + 1
    assert f"{file}:{line}: the secret 'lab key' cannot be asked for: there is no terminal" in ended.stderr
    assert "%ENV{NAME}" in ended.stderr


def test_a_file_with_mistakes_asks_nothing(bench, typist):
    with pytest.raises(UsageError, match="'abc' is not a TCP port"):
        load(bench((PSK, 'psk: "%ASK{lab key}"'), ("0.3, port: 22", "0.3, port: abc")))
    assert typist == []


def test_pyats_decodes_its_own_secrets(bench, capfd):
    file = bench((PSK, f'psk: "%ENC{{{encoded("from pyATS")}}}"'))
    capfd.readouterr()
    assert check(file).clients.psk == Secret("from pyATS")
    assert load(file).clients.psk == Secret("from pyATS")
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("text", ["abc", "", "w5DDi8OPw4Q"])
def test_what_pyats_cannot_decode_is_a_mistake(bench, text):
    (mistake,) = examine(bench((PSK, f'psk: "%ENC{{{text}}}"'))).mistakes
    assert mistake.problem.startswith("psk: pyATS ")
    assert "pyats secret encode" in mistake.cure
    assert not text or text not in mistake.problem + mistake.cure


def test_a_prefix_chooses_the_settings_of_pyats():
    asked = []

    def decode(coded, prefix):
        asked.append((coded, prefix))
        return "plain"

    assert markup.decoded("abc==, prefix = piggy", decode) == "plain"
    assert markup.decoded("abc==", decode) == "plain"
    assert asked == [("abc==", "piggy"), ("abc==", "string")]


def test_without_pyats_it_says_so():
    def decode(coded, prefix):
        raise ImportError("pyats")

    with pytest.raises(ValueError, match="is not installed"):
        markup.decoded("abc==", decode)


@pytest.mark.parametrize(
    ("value", "problem", "cure"),
    [
        ("%ENV{A,b}", "%ENV{A,b} names no variable", "no default"),
        ("%ENV{A", "%ENV{ is not closed", "%ENV{NAME}"),
        ("x%ASK{y}", "pyATS takes %ASK{ for markup", "the whole of a value"),
        ("%ENC{a}b", "pyATS takes %ENC{ for markup", "the whole of a value"),
        ("%INCLUDE{file}", "pyATS takes %INCLUDE{ for markup", "%ENV{NAME}"),
        ("%CALLABLE{os.getpid()}", "pyATS takes %CALLABLE{ for markup", "%ENV{NAME}"),
        ("%{testbed.name}", "pyATS takes %{ for markup", "%ENV{NAME}"),
        ("ENC(abc)", "ENC(…) is an old form", '"%ENC{…}"'),
        ("ASK()", "ASK(…) is an old form", '"%ASK{…}"'),
    ],
)
def test_markup_that_is_not_understood(bench, value, problem, cure):
    file = bench((PSK, f'psk: "{value}"'))
    (mistake,) = examine(file).mistakes
    assert problem in mistake.problem
    assert cure in mistake.cure
    assert value in file.read_text().splitlines()[mistake.line - 1]


def test_a_variable_may_be_a_number_or_a_part(bench, monkeypatch):
    monkeypatch.setenv("NATSTORM_P", "2222")
    file = bench(("0.3, port: 22", '0.3, port: "%ENV{NATSTORM_P}"'), (PSK, 'psk: "a-%ENV{NATSTORM_P}-b"'))
    testbed = load(file)
    assert (testbed.gateway.connection.port, testbed.clients.psk) == (2222, Secret("a-2222-b"))


def test_what_a_secret_holds_is_not_markup(bench, monkeypatch):
    """A password of the environment's may look like anything: pyATS, which would take it for markup, is not shown it."""
    monkeypatch.setenv("NATSTORM_P", "100%{x} %ENV{HOME} %ASK{me}")
    file = bench((PSK, 'psk: "%ENV{NATSTORM_P}"'), (LOGIN, LOGIN + '      password: "%ENV{NATSTORM_P}"\n'))
    testbed = load(file)
    assert testbed.clients.psk == testbed.nat.connection.password == Secret("100%{x} %ENV{HOME} %ASK{me}")


@pytest.mark.parametrize("value", ["[secret-5]", "{secret-5: 1}", "true", "2020-13-45", "1.5"])
def test_a_secret_that_is_none_is_not_shown(bench, value):
    (mistake,) = examine(bench((PSK, f"psk: {value}"))).mistakes
    assert "secret-5" not in mistake.problem + mistake.cure
    assert value not in mistake.problem


RESPELT = ["0123", "0x1F", "1_000", "12:30:45", "+12", "0b11", "-0"]


@pytest.mark.parametrize("value", RESPELT)
def test_a_number_that_yaml_spells_otherwise_is_no_text(bench, value):
    """0123 would be the PSK 83."""
    file = bench((PSK, f"psk: {value}"), (LOGIN, f"      username: {value}\n"), ("name: bench-in-a-box", f"name: {value}"))
    name, username, psk = examine(file).mistakes
    assert psk.problem == "psk: this is another number to YAML"
    assert username.problem == f"username: {value} is another number to YAML"
    assert name.problem == f"name: {value} is another number to YAML"
    assert {one.cure for one in (psk, username, name)} == {"put it in quotes"}
    quoted = examine(bench((PSK, f'psk: "{value}"'), (LOGIN, f'      username: "{value}"\n')))
    assert quoted.testbed.clients.psk == Secret(value)
    assert quoted.testbed.nat.connection.username == value


def test_a_number_that_is_its_own_text_is_one(bench):
    testbed = check(bench((PSK, "psk: 1234"), (LOGIN, "      username: 0\n")))
    assert (testbed.clients.psk, testbed.nat.connection.username) == (Secret("1234"), "0")


def test_a_number_is_written_as_it_is_meant(bench):
    (mistake,) = examine(bench(("0.3, port: 22", "0.3, port: 022"))).mistakes
    assert mistake.problem == "port: 022 is another number to YAML"
    assert mistake.cure == "write 18, or the number that is meant"


SECRET = "hunter2-not-shown"
MISPLACED = [
    ("first: 10.0.0.2 ", 'first: "%ENV{NATSTORM_P}" '),
    ("0.3, port: 22", '0.3, port: "%ENV{NATSTORM_P}"'),
    ("203.0.113.231/24", '"%ENV{NATSTORM_P}/24"'),
    ("ip: 10.99.0.2", 'ip: "10.%ENV{NATSTORM_P}.2"'),
    ("- 10.0.0.0/20 ", '- "%ENV{NATSTORM_P}" '),
    ("os: natstorm", 'os: "%ENV{NATSTORM_P}"'),
    ("protocol: ssh, ip: 10.99.0.3", 'protocol: ssh, proxy: "%ENV{NATSTORM_P}", ip: 10.99.0.3'),
    ("link: inside, ipv4: 192.0.2.2/30", 'link: "%ENV{NATSTORM_P}", ipv4: 192.0.2.2/30'),
    ("known_hosts: \"%ENV{NATSTORM_BOX}/known_hosts\"", 'known_hosts: "%ENV{NATSTORM_P}"'),
]


@pytest.mark.parametrize("pair", MISPLACED, ids=lambda pair: pair[0].split(":")[0])
def test_a_secret_of_the_environment_at_a_wrong_place_is_not_shown(bench, monkeypatch, pair):
    monkeypatch.setenv("NATSTORM_P", SECRET)
    mistakes = examine(bench(pair)).mistakes
    told = "".join(one.problem + one.cure for one in mistakes)
    assert "%ENV{NATSTORM_P}" in told
    assert "hunter2" not in told


def test_nor_is_a_short_one(bench, monkeypatch):
    monkeypatch.setenv("NATSTORM_P", "hi2")
    (mistake,) = examine(bench(("first: 10.0.0.2 ", 'first: "%ENV{NATSTORM_P}" '))).mistakes
    assert mistake.problem == "first: what %ENV{NATSTORM_P} stands for will not do here"
    assert mistake.cure == "four numbers from 0 to 255, as in 203.0.113.231"
