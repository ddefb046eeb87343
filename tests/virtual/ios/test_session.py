"""A terminal in memory: what is typed, what comes back."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from terminal import STARTUP, Terminal

from harness.devices.ios.parsers.version import parse_version
from harness.virtual.ios import passwords
from harness.virtual.ios.state import State


def started(lines="", **more):
    return State(startup=STARTUP.replace("line con 0\n", lines + "line con 0\n"), **more)


# --- modes and prompts (DMX-52, DMX-53) ---


def test_each_step_has_its_prompt():
    terminal = Terminal(level=1)
    assert terminal.prompt == "LNS>"
    assert terminal.type("enable\r").endswith("Password: ")
    assert terminal.type("enable-me-too\r").endswith("\r\nLNS#")
    assert terminal.run("configure terminal") == ["Enter configuration commands, one per line.  End with CNTL/Z."]
    assert terminal.prompt == "LNS(config)#"
    terminal.run("crypto dynamic-map DYNAMIC_MAP 10")
    assert terminal.prompt == "LNS(config-crypto-map)#"
    assert terminal.run("set nat demux") == []
    terminal.run("exit")
    assert terminal.prompt == "LNS(config)#"
    terminal.run("exit")
    assert terminal.prompt == "LNS#"
    terminal.run("disable")
    assert terminal.prompt == "LNS>"


def test_a_command_in_the_wrong_mode():
    terminal = Terminal()
    terminal.run("conf t")
    assert terminal.run("set nat demux")[1] == "% Invalid input detected at '^' marker."
    terminal.run("end")
    assert "% Invalid input detected at '^' marker." in terminal.run("set nat demux")
    terminal.run("disable")
    assert "% Invalid input detected at '^' marker." in terminal.run("configure terminal")


def test_on_an_older_release_a_command_is_as_one_that_nobody_knows():
    said = {}
    for release in ("12.3(11)T3", "12.3(11)T4"):
        terminal = Terminal(started(release=release))
        terminal.run("conf t")
        terminal.run("crypto dynamic-map D 10")
        said[release] = terminal.run("set nat demux")
    assert said["12.3(11)T4"] == []
    caret, marker, _ = said["12.3(11)T3"]
    assert caret == " " * len("LNS(config-crypto-map)#set ") + "^"
    assert marker == "% Invalid input detected at '^' marker."


def test_wrong_enable_passwords():
    terminal = Terminal(level=1)
    assert terminal.type("enable\r").endswith("Password: ")
    assert terminal.type("one\r") == "\r\nPassword: "
    assert terminal.type("two\r") == "\r\nPassword: "
    assert terminal.type("three\r") == "\r\n% Bad secrets\r\n\r\nLNS>"
    assert terminal.type("enable\renable-me-too\r").endswith("LNS#")


def test_the_passwords_are_kept_as_openssl_keeps_them():
    # openssl passwd -1 -salt abcd secret ; … -salt 12345678 'a much longer passphrase'
    assert passwords.md5_crypt("secret", "abcd") == OPENSSL["secret"]
    assert passwords.md5_crypt("a much longer passphrase", "12345678") == OPENSSL["a much longer passphrase"]
    assert passwords.matches("5 " + OPENSSL["secret"], "secret")
    assert not passwords.matches("5 " + OPENSSL["secret"], "Secret")
    assert passwords.matches("7 02050D480809", "cisco")
    assert not passwords.matches("0 cisco", "0 cisco")
    assert not passwords.matches("5 no hash", "")
    assert passwords.hidden(passwords.hidden("x")) == passwords.hidden("x")


OPENSSL = {
    "secret": "$1$abcd$Oy8OD9LGKv7H9yIMreLNV1",
    "a much longer passphrase": "$1$12345678$GUhpmE5Fp/4Xn69PGI7sf/",
}


def test_a_login_by_name():
    terminal = Terminal(user=None, open_=False)
    terminal.session.open(0)
    assert terminal.read().endswith("User Access Verification\r\n\r\nUsername: ")
    assert terminal.type("natstorm\r") == "natstorm\r\nPassword: "
    assert terminal.type("wrong\r") == "\r\n% Login invalid\r\n\r\nUsername: "
    assert terminal.type("nobody\r\n") == "nobody\r\nPassword: "
    assert terminal.type("letmein-please\r\n").endswith("% Login invalid\r\n\r\nUsername: ")
    terminal.type("natstorm\r\0")
    assert terminal.type("letmein-please\r\0") == "\r\n\r\nLNS>"


def test_three_wrong_logins_end_it():
    terminal = Terminal(user=None, open_=False)
    terminal.session.open(0)
    terminal.type("a\rb\ra\rb\ra\rb\r")
    assert terminal.session.closed


@pytest.mark.parametrize(
    ("line", "asks"),
    [(" password line-word\n login", "Password: "), (" no login", "LNS>"), (" login", "Password required, but none set\r\n")],
)
def test_a_login_by_the_line(line, asks):
    terminal = Terminal(State(startup=STARTUP.replace(" login local", line)), user=None, open_=False)
    terminal.session.open(0)
    assert terminal.read().endswith(asks)
    if "password" in line:
        assert terminal.type("line-word\r").endswith("LNS>")


# --- the line ---


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ("show clokc\b\bck", "show clock"),
        ("bogus\x15show clock", "show clock"),
        ("show bogus\x17clock", "show clock"),
        ("ow clock\x01sh", "show clock"),
        ("ow clock\x01sh\x05 ", "show clock "),
        ("show lock\x1b[D\x1b[D\x1b[D\x1b[Dc", "show clock"),
        ("xshow clock\x01\x04", "show clock"),
        ("show clock bogus\x02\x02\x02\x02\x02\x02\x0b", "show clock"),
        ("sho\tclo\t", "show clock "),
    ],
)
def test_keys_that_edit(typed, line):
    terminal = Terminal()
    terminal.type("show privilege\r")
    said = terminal.type(typed + "\r")
    assert said.split("\r\n")[-2].startswith("*00:00:00.000 UTC Fri Mar 1 2002")
    assert terminal.session.editor.history[-1] == line


def test_a_line_has_an_end():
    terminal = Terminal()
    terminal.run("conf t")
    terminal.type("alias exec long " + "x" * 400 + "\r")
    assert len(terminal.state.configuration.tree.value("alias exec")) == 254 - len("alias exec ")


def test_history():
    terminal = Terminal()
    terminal.run("show clock")
    terminal.run("show privilege")
    assert "Current privilege level is 15" in terminal.type("\x10\r")
    assert "UTC" in terminal.type("\x10\x10\x0e\x10\r")
    assert terminal.run("show history")[-4:] == ["  show clock", "  show privilege", "  show clock", "  show history"]


def test_ends_of_lines():
    terminal = Terminal()
    assert terminal.type("\r\n\r\n").count("LNS#") == 2
    assert terminal.type("\r\0\n").count("LNS#") == 2
    assert terminal.type("\r").count("LNS#") == 1
    assert terminal.type("\n").count("LNS#") == 0


ASKED_AT_ONCE = ("reload", "reload in 10", "erase startup-config", "write erase")


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "\r\0"])
@pytest.mark.parametrize("command", ASKED_AT_ONCE)
def test_the_end_of_a_line_does_not_confirm_what_the_line_asks(command, end):
    """RFC 854: CR LF is one end of a line, and CR NUL a CR."""
    terminal = Terminal()
    terminal.run("write memory")
    told, startup = [], terminal.state.startup
    terminal.state.on_reload.append(told.append)
    assert terminal.type(command + end).endswith("[confirm]")
    assert terminal.type("n") == "\r\nLNS#"
    assert (told, terminal.state.reload_at, terminal.state.startup) == ([], None, startup)
    assert terminal.type(command + end).endswith("[confirm]")
    terminal.type(end)
    assert (told, terminal.state.reload_at, terminal.state.startup) != ([], None, startup)


def test_the_end_of_a_confirmation_is_one_too():
    terminal = Terminal()
    assert terminal.type("erase nvram:\r\n\r\n").count("LNS#") == 1


def test_the_end_of_a_line_does_not_turn_its_page():
    terminal = Terminal()
    terminal.run("terminal length 10")
    by_cr, by_both = (terminal.type("show running-config" + end) + terminal.type("q") for end in ("\r", "\r\n"))
    assert by_both == by_cr
    terminal.type("show running-config\r")
    assert terminal.type("\r\n").count("--More--") == 1


def test_control_c_and_control_z():
    terminal = Terminal()
    terminal.run("conf t")
    terminal.run("interface fa0/0")
    assert terminal.type("shutdown\x1a") == "shutdown^Z\r\nLNS#"
    assert terminal.state.configuration.tree.first("interface FastEthernet0/0").has("shutdown")
    terminal.run("conf t")
    assert terminal.type("hostname Lost\x03") == "hostname Lost\r\nLNS#"


def test_help():
    terminal = Terminal()
    assert terminal.type("co?") == "co?\r\nconfigure  copy\r\n\r\nLNS#co"
    terminal.type("\x15")
    assert terminal.type("show privilege ?") == "show privilege ?\r\n  <cr>\r\n\r\nLNS#show privilege "
    terminal.type("\x15")
    said = terminal.type("clock ?")
    assert "  set" in said
    assert said.endswith("LNS#clock ")
    terminal.type("\x15")
    assert "% Unrecognized command" in terminal.type("bogus ?")
    terminal.type("\x15")
    terminal.run("conf t")
    terminal.run("crypto map M 1 ipsec-isakmp")
    said = terminal.type("set ?")
    assert "  nat  " in said
    assert re.search(r"\n  transform-set +Specify list of transform sets in priority order\r", said)
    terminal.type("\x15")
    assert "  demux  Translate" in terminal.type("no set nat ?")


def test_what_no_mode_knows():
    terminal = Terminal()
    assert terminal.run("bogus")[-1] == "% Unknown command or computer name, or unable to find computer address"
    assert terminal.run("sh") == ["% Incomplete command.", ""]
    assert terminal.run("c") == ['% Ambiguous command:  "c"']


def test_do_and_exit_and_end():
    terminal = Terminal()
    terminal.run("conf t")
    terminal.run("interface fa0/0")
    assert terminal.run("do show privilege") == ["Current privilege level is 15"]
    assert terminal.prompt == "LNS(config-if)#"
    terminal.run("hostname EDGE")
    assert terminal.prompt == "EDGE(config)#"
    terminal.run("end")
    assert terminal.prompt == "EDGE#"
    terminal.type("exit\r")
    assert terminal.session.closed


# --- output ---


def test_more():
    terminal = Terminal()
    whole = terminal.run("show running-config")
    terminal.run("terminal length 10")
    first = terminal.type("show running-config\r")
    assert first.endswith("\r\n --More-- ")
    assert first.split("\r\n")[1:10] == whole[:9]
    one = terminal.type("\r")
    assert whole[9] in one
    assert whole[10] not in one
    page = terminal.type(" ")
    assert whole[10] in page
    assert page.endswith(" --More-- ")
    assert terminal.type("q").endswith("\bLNS#")
    assert terminal.run("show privilege") == ["Current privilege level is 15"]


def test_a_long_line_takes_more_of_the_screen():
    terminal = Terminal(started("alias exec long " + "x" * 200 + "\n"))
    terminal.run("terminal length 6")
    terminal.run("terminal width 0")
    command = "show running-config | include ^alias|^line|^end\r"
    assert "--More--" not in terminal.type(command)
    terminal.type("terminal width 50\r")
    said = terminal.type(command)
    assert said.endswith("--More-- ")
    assert "alias exec" in said
    assert "line con 0" not in said


def test_filters():
    terminal = Terminal()
    assert terminal.run("show running-config | include ^username") == ["username natstorm password 0 letmein-please"]
    assert terminal.run("show running-config | section interface FastEthernet0/0") == [
        "interface FastEthernet0/0", " ip address 203.0.113.231 255.255.255.0", " duplex auto",
    ]  # fmt: skip
    assert terminal.run("show running-config | section crypto") == ["crypto isakmp key TopSecretKey9 address 0.0.0.0 0.0.0.0"]
    begun = terminal.run("show running-config | begin line vty")
    assert begun == ["line vty 0 4", " login local", "!", "end", ""]
    assert not any("interface" in line for line in terminal.run("sh run | exclude interface"))
    assert terminal.run("show run | include (")[0].startswith("% Failed to compile")
    assert terminal.run("show run | sort x")[1] == "% Invalid input detected at '^' marker."
    assert terminal.run("enable | include x")[1] == "% Invalid input detected at '^' marker."


def test_terminal_monitor():
    quiet, loud = Terminal(level=15), None
    loud = Terminal(quiet.state, line="vty 1")
    loud.run("terminal monitor")
    loud.type("show clo")
    quiet.state.log("%LINK-3-UPDOWN: Interface Virtual-Access2, changed state to up")
    said = loud.read()
    assert said == "\r\n*Mar  1 00:00:00.000: %LINK-3-UPDOWN: Interface Virtual-Access2, changed state to up\r\nLNS#show clo"
    assert quiet.read() == ""
    assert "UTC" in loud.type("ck\r")
    loud.run("terminal length 5")
    loud.type("show running-config\r")
    quiet.state.log("%SYS-5-TEST: later")
    assert loud.read() == ""
    assert "%SYS-5-TEST: later" in loud.type("q")
    loud.run("terminal no monitor")
    quiet.state.log("%SYS-5-TEST: never")
    assert loud.read() == ""


# --- show commands ---


def test_show_version_as_the_driver_reads_it():
    terminal = Terminal(started(release="12.3(11)T4"))
    terminal.now = 2 * 86400 + 3600 + 61
    (found,) = parse_version("\n".join(terminal.run("show version"))).rows
    assert (found.hostname, found.version, found.model) == ("LNS", "12.3(11)T4", "7206VXR")
    assert found.uptime == "2 days, 1 hour, 1 minute"
    assert found.register == "0x2102"


def test_show_running_config():
    lines = Terminal().run("show running-config")
    assert lines[:2] == ["Building configuration...", ""]
    body = "\n".join(lines[3:-1]) + "\n"
    assert lines[2] == f"Current configuration : {len(body)} bytes"
    assert lines[3] == "!"
    assert lines[-2] == "end"
    assert any(line.startswith("enable secret 5 $1$") for line in lines)
    assert "enable-me-too" not in body


def test_interfaces_and_users():
    terminal = Terminal(started("interface FastEthernet0/1\n description to the lab\n shutdown\n"), source="192.0.2.7")
    brief = terminal.run("show ip interface brief")
    assert brief[1].split() == ["FastEthernet0/0", "203.0.113.231", "YES", "manual", "up", "up"]
    assert brief[2].split() == ["FastEthernet0/1", "unassigned", "YES", "unset", "administratively", "down", "down"]
    assert brief[3].split()[:2] == ["Virtual-Template1", "203.0.113.231"]
    assert "Fa0/1                          admin down     down     to the lab" in terminal.run("show interfaces description")
    users = terminal.run("show users")
    assert users[1].split() == ["*", "2", "vty", "0", "natstorm", "idle", "00:00:00", "192.0.2.7"]


def test_the_clock_is_set():
    terminal = Terminal()
    terminal.run("clock set 13:32:00 23 February 2006")
    assert terminal.run("show clock") == ["13:32:00.000 UTC Thu Feb 23 2006"]
    assert terminal.run("clock set 13:32:00 30 February 2006") == ["% Invalid date"]


def test_others_add_commands():
    terminal = Terminal()
    assert "% Invalid input" in "".join(terminal.run("show ip nat translations"))
    terminal.state.show("show ip nat translations [verbose]", lambda state, match: [state.hostname, *match.words[3:]])
    assert terminal.run("show ip nat tr verb") == ["LNS", "translations", "verbose"]


# --- saving and reloading ---


def test_write_memory_and_copy():
    terminal = Terminal()
    before = terminal.state.startup
    terminal.run("conf t")
    terminal.run("hostname EDGE")
    terminal.run("end")
    assert terminal.state.startup == before
    assert terminal.type("copy running-config startup-config\r").endswith("Destination filename [startup-config]? ")
    assert terminal.type("\r") == "\r\nBuilding configuration...\r\n[OK]\r\nEDGE#"
    assert "hostname EDGE" in terminal.run("show startup-config")
    terminal.run("conf t")
    terminal.run("no hostname")
    terminal.run("end")
    assert terminal.run("write memory") == ["Building configuration...", "[OK]"]
    assert "hostname EDGE" not in terminal.run("show startup-config")


def test_reload_forgets_what_was_not_saved():
    terminal = Terminal()
    told = []
    terminal.state.on_reload.append(told.append)
    terminal.run("conf t")
    terminal.run("hostname EDGE")
    terminal.run("end")
    assert terminal.type("reload\r").endswith("System configuration has been modified. Save? [yes/no]: ")
    assert "Please answer" in terminal.type("maybe\r")
    assert terminal.type("no\r").endswith("Proceed with reload? [confirm]")
    assert terminal.type("n").endswith("EDGE#")
    terminal.now = 7.0
    terminal.type("reload\rno\r\r")
    assert terminal.session.closed
    assert told == [7.0]
    assert terminal.state.hostname == "LNS"
    assert terminal.state.up_at == 7.0 + terminal.state.boot_s


def test_erasing_asks_for_one_key():
    terminal = Terminal()
    assert terminal.type("write erase\r").endswith("Continue? [confirm]")
    assert terminal.type("n").endswith("#")
    assert terminal.state.startup is not None
    terminal.type("write erase\ry")
    assert terminal.state.startup is None


def test_reload_in_ten_minutes_and_its_cancelling():
    terminal = Terminal()
    terminal.type("reload in 10\r\r")
    assert terminal.state.deadline == 600.0
    assert terminal.run("show reload") == ["Reload scheduled in 10 minutes and 0 seconds by console"]
    assert "*** --- SHUTDOWN ABORTED ---" in terminal.run("reload cancel")
    assert terminal.state.reload_at is None
    terminal.type("reload in 10\r\r")
    terminal.run("conf t")
    terminal.run("hostname EDGE")
    terminal.state.tick(599.9)
    assert terminal.state.hostname == "EDGE"
    terminal.state.tick(600.0)
    assert terminal.state.hostname == "LNS"
    assert terminal.session.closed


def test_exec_timeout():
    terminal = Terminal(State(startup=STARTUP.replace(" login local", " exec-timeout 5 30\n login local")))
    terminal.now = 100.0
    terminal.run("show privilege")
    assert terminal.session.deadline == 100.0 + 330
    terminal.state.tick(429.0)
    assert not terminal.session.closed
    terminal.state.tick(430.0)
    assert terminal.session.closed
    assert terminal.state.sessions == []


def test_a_connection_that_is_cut_leaves_what_it_had_ended():
    terminal = Terminal()
    terminal.run("conf t")
    terminal.type("ip host one 1.1.1.1\rip host two 2.2.2.2")
    terminal.session.lose()
    assert terminal.state.configuration.tree.has("ip host one 1.1.1.1")
    assert terminal.state.configuration.tree.find("ip host two") == ()
    assert terminal.state.sessions == []


def test_an_older_release_boots_without_what_it_does_not_know():
    state = started("crypto dynamic-map D 10\n set nat demux\n", release="12.2(15)T")
    assert [one.line for one in state.troubles] == [" set nat demux"]


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=120))
def test_no_bytes_confuse_it(data):
    terminal = Terminal()
    terminal.session.receive(0.0, data)
    terminal.session.receive(0.0, b"\rq\x03\x1a\r")
    terminal.read()
