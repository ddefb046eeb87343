"""The IOS driver, against the virtual IOS router, reached by the system's own ssh; and what IOS prints, against samples."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from running import Running, connection, play

from harness.devices import journal
from harness.devices.ios import configurations, roles
from harness.devices.ios.configurations import back_to, parse_config
from harness.devices.ios.driver import Ios
from harness.devices.ios.parsers.configured import IsakmpPolicy
from harness.devices.ios.parsers.version import Version, parse_version
from harness.devices.ssh import Unreachable
from harness.devices.ssh_keys import Refused, UnknownHostKey
from harness.errors import DeviceError, UsageError
from harness.model import Secret
from harness.virtual.ios.state import State

SAMPLES = Path(__file__).parent / "samples" / "ios" / "show_version"
CONFIG = """\
version 12.4
hostname R1
!
username natstorm privilege 1 password 0 letmein-please
enable secret enable-me-too
ip nat translation udp-timeout 300
!
crypto isakmp policy 10
 encr 3des
 authentication pre-share
 group 2
crypto isakmp key TopSecretKey9 address 0.0.0.0 0.0.0.0
!
interface FastEthernet0/0
 ip address 203.0.113.231 255.255.255.0
 duplex auto
!
interface FastEthernet0/1
 no ip address
!
interface Virtual-Template1
 ip unnumbered FastEthernet0/0
!
line con 0
line vty 0 4
 login local
end
"""
CHANGE = ["ip nat translation udp-timeout 60", "interface FastEthernet0/0", " ip address 192.0.2.1 255.255.255.0", " speed 100"]


class Router(Running):
    """A virtual router with that configuration."""

    def __init__(self, directory, *, silent_after=None):
        pytest.importorskip("asyncssh", reason="no module asyncssh (pip install 'natstorm[virtual-ios]')")
        if shutil.which("ssh") is None:
            pytest.skip("no program ssh (Debian package openssh-client)")
        super().__init__(State(startup=CONFIG, release="12.4(24)T"), directory, telnet=False)
        if silent_after is not None:
            self.state.command(silent_after, lambda session, match: None, level=1)

    @property
    def port(self):
        return self.ssh_port

    @property
    def config(self):
        return self.ask(lambda state: state.configuration.text().splitlines())


@pytest.fixture
def router(tmp_path):
    with Router(tmp_path) as running:
        yield running


def test_it_logs_in_and_tells_its_version_and_changes_nothing(router):
    told = []
    before = router.config
    typed = router.ask(lambda state: state.typed)
    found = play(lambda device: device.version(), Ios(connection(router), hear=told.append))
    assert (found.hostname, found.version, found.model) == ("R1", "12.4(24)T", "7206VXR")
    assert router.config == before
    assert "show version" in typed
    assert not any("config" in line or "logging" in line for line in typed)
    assert "show version" in "\n".join(told)
    assert "letmein-please" not in "\n".join(told)
    assert "enable-me-too" not in "\n".join(told)


def test_what_it_prints_is_read_by_the_parsers(router):
    heard = []

    def typed(state):
        return [line for session in state.sessions for line in session.editor.history]

    async def body(device):
        with pytest.raises(UsageError, match="no parser knows"):
            await device.parse("show nonsense")
        found = await device.parse("show running-config")
        heard.extend(await asyncio.to_thread(router.ask, typed))
        return found

    found = play(body, Ios(connection(router)))
    assert (found.unread, found.cut) == ((), "")
    assert IsakmpPolicy(10, "3des", None, "pre-share", "2") in found.rows
    assert "show running-config" in heard
    assert not any("nonsense" in line for line in heard)


def test_it_is_configured_and_put_back(router, tmp_path):
    book = journal.Journal.create("lab", "lab.yaml", tmp_path / "restore")
    before = router.config

    async def body(device):
        await device.configure(CHANGE)
        assert " ip address 192.0.2.1 255.255.255.0" in router.config
        assert "ip nat translation udp-timeout 60" in router.config
        await device.configure(["no vpdn-group 9", "crypto isakmp policy 10", " no encr 3des"])
        assert " encr 3des" not in router.config
        ((_, undo),) = book.open
        assert " encr 3des" in undo.by_hand.splitlines()
        assert "ip nat translation udp-timeout 300" in undo.by_hand.splitlines()
        await device.restore()

    play(body, Ios(connection(router), journal=book))
    assert configurations.parse_config("\n".join(router.config)) == configurations.parse_config("\n".join(before))
    assert book.open == ()
    assert oct(book.path.stat().st_mode & 0o777) == "0o600"


def test_a_line_that_is_refused_is_told_and_the_journal_has_the_change(router, tmp_path):
    book = journal.Journal.create("lab", "lab.yaml", tmp_path / "restore")

    async def body(device):
        with pytest.raises(DeviceError, match=r"^edge: 'configure': .*Invalid input"):
            await device.configure(["hostname R2", "nonsense in a line"])
        ((_, undo),) = book.open
        assert "hostname R1" in undo.by_hand.splitlines()
        assert undo.script.count("TopSecretKey9") == 1  # what is saved is the configuration as it is

    play(body, Ios(connection(router), journal=book))


def test_roles_are_typed_and_put_back(router, tmp_path):
    from test_ios_roles import ALL

    book = journal.Journal.create("lab", "lab.yaml", tmp_path / "restore")
    before = configurations.parse_config("\n".join(router.config))

    async def body(device):
        for name in ("demux", "lac", "nat"):
            role = roles.fill(*ALL[name])
            device.redactor.add(*role.secrets)
            assert await device.missing(role.features) == ()
            await device.configure(role.lines)
            there = configurations.parse_config("\n".join(await asyncio.to_thread(lambda: router.config)))
            assert configurations.parse_config("\n".join(role.lines)).keys() <= there.keys()
            await device.restore()
            assert configurations.parse_config("\n".join(await asyncio.to_thread(lambda: router.config))) == before

    play(body, Ios(connection(router), journal=book))
    assert book.open == ()


def test_a_command_that_is_refused(router):
    async def body(device):
        with pytest.raises(DeviceError, match="Invalid input"):
            await device.execute("show me the way")

    play(body, Ios(connection(router)))


def refused(kind, device):
    with pytest.raises(kind) as caught:
        play(lambda device: device.version(), device)
    assert str(caught.value).startswith("edge: ")
    assert "letmein" not in str(caught.value)
    return str(caught.value)


def test_a_wrong_enable_password_does_not_loop(router):
    said = refused(Refused, Ios(connection(router, enable=Secret("letmein-wrong")), timeout=10))
    assert "enable password" in said


def test_a_wrong_password(router):
    assert "refuses user 'natstorm'" in refused(Refused, Ios(connection(router, password=Secret("letmein-wrong"))))


def test_a_host_key_that_is_not_known_is_not_answered_yes_to(router, tmp_path):
    (tmp_path / "none").write_text("")
    refused(UnknownHostKey, Ios(connection(router, known_hosts=str(tmp_path / "none"))))
    assert (tmp_path / "none").read_text() == ""
    assert router.ask(lambda state: list(state.typed)) == []


def test_nobody_listens(router):
    refused(Unreachable, Ios(connection(router, port=1)))


def test_a_prompt_that_never_comes(tmp_path):
    with Router(tmp_path, silent_after="show version") as router:
        refused(DeviceError, Ios(connection(router), timeout=2))


# --- what it prints ---


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "c7200-12.4",
            Version(
                "R1",
                "12.4(24)T",
                "C7200-ADVENTERPRISEK9-M",
                "7206VXR",
                "4279256517",
                "2 days, 12 hours, 6 minutes",
                "tftp://255.255.255.255/unknown",
                "0x2102",
            ),
        ),
        (
            "c2600-12.3",
            Version(
                "lns.lab",
                "12.3(10)",
                "C2600-IK9O3S3-M",
                "2621XM",
                "JAE07140KQX",
                "1 week, 8 hours, 58 minutes",
                "flash:c2600-ik9o3s3-mz.123-10.bin",
                "0x2102",
            ),
        ),
        (
            "csr1000v-16.9",
            Version(
                "vpn-1",
                "16.9.1",
                "X86_64_LINUX_IOSD-UNIVERSALK9-M",
                "CSR1000V",
                "9ESGOBARV9D",
                "3 minutes",
                "bootflash:packages.conf",
                "0x2102",
            ),
        ),
    ],
)
def test_show_version(name, expected):
    text = (SAMPLES / f"{name}.txt").read_text()
    assert parse_version(text).rows == (expected,)
    assert parse_version(text.replace("\n", "\r\n")).rows == (expected,)


def test_show_version_empty_or_cut_off():
    assert parse_version("") == parse_version("\n\n")
    assert parse_version("").rows == parse_version("").unread == ()
    whole = (SAMPLES / "c2600-12.3.txt").read_text()
    for end in range(0, whole.index("Configuration register is 0x"), 97):
        cut = parse_version(whole[:end])
        assert cut.rows == ()
        assert cut.unread == tuple(filter(str.strip, whole[:end].splitlines()))


def test_show_version_of_a_switch_that_tells_no_register():
    whole = (SAMPLES / "csr1000v-16.9.txt").read_text()
    hardware = "Base Ethernet MAC Address          : 02:00:00:00:00:01\nModel Number                       : C9606R\n"
    serial = "System Serial Number               : FXS00000001\n"
    text = whole.replace("Configuration register is 0x2102\n", hardware + serial)
    (found,) = parse_version(text).rows
    assert (found.version, found.hostname, found.register) == ("16.9.1", "vpn-1", None)
    assert parse_version(f"{text}vpn-1#").rows == (found,)
    end = text.index(serial)
    behind = end + len(serial)
    ends = (text[:end], text[: behind - 1], f"{text[:behind]}\nConf", f"{text[:behind]} --More-- ")
    for cut in (*ends, text.replace("uptime", "up")):
        assert parse_version(cut).rows == ()
        assert parse_version(cut).unread


def test_a_configuration_is_led_back():
    saved = parse_config(CONFIG)
    lines = [*CHANGE, "interface Loopback9", " shutdown", "no crypto isakmp policy 10"]
    lines += ["line vty 0 4", " no login local"]
    now = configurations.after(saved, lines)
    assert now != saved
    back = back_to(saved, now)
    assert back == [
        "no interface Loopback9",
        "interface FastEthernet0/0",
        " no speed 100",
        " exit",
        "ip nat translation udp-timeout 300",
        "crypto isakmp policy 10",
        " encr 3des",
        " authentication pre-share",
        " group 2",
        " exit",
        "interface FastEthernet0/0",
        " ip address 203.0.113.231 255.255.255.0",
        " exit",
        "line vty 0 4",
        " login local",
        " exit",
    ]
    assert back_to(saved, saved) == []


def test_what_is_no_configuration_is_not_compared():
    noisy = "show running-config\nBuilding configuration...\n\nCurrent configuration : 1044 bytes\n!\n" + CONFIG + "\nR1#"
    assert parse_config(noisy) == parse_config(CONFIG)
    assert parse_config("") == {}
    assert configurations.whole(noisy)
    told = ["*** --- SHUTDOWN in 0:05:00 ---", "*Mar  1 00:00:07.123: %SYS-5-CONFIG_I: Configured from console by a on vty 1"]
    told += ["%LINK-3-UPDOWN: Interface FastEthernet0/0, changed state to up", "Load for five secs: 1%/0%; one minute: 1%"]
    assert parse_config(noisy.replace("!\n", "\n".join([*told, "!\n"]))) == parse_config(CONFIG)
    assert not configurations.whole(noisy[: noisy.index("line con")])


def test_lines_that_are_offered_may_be_refused_and_say_so(router, tmp_path):
    """What is typed after a refusal is typed too; names of the router change under way; all of it goes back."""
    before = router.config
    book = journal.Journal.create("bench", "bench.yaml", tmp_path)
    lines = ["hostname Other", "vpdn-group 1", "accept-dialin", "protocol l2tp", "exit", "frobnicate", "interface FastEthernet0/0",
             "speed 100", "crypto map none 10 ipsec-isakmp"]  # fmt: skip

    async def body(device):
        found = await device.offer(lines)
        shown = await device.ask("show runing-config")
        assert "hostname Other" in router.config
        await device.restore()
        return found, shown

    found, shown = play(body, Ios(connection(router), journal=book))
    assert [line for line, _ in found] == lines
    assert [bool(said) for _, said in found] == [False, False, False, False, False, True, False, False, True]
    assert "% Invalid input detected" in found[5][1]
    assert "remain disabled" in found[8][1]
    assert "% Invalid input detected" in shown
    assert router.config == before
    assert not book.open


def test_an_offer_that_would_cut_off_the_management_is_not_typed(router):
    before = router.config
    with pytest.raises(DeviceError, match="would"):
        play(lambda device: device.offer(["line vty 0 4", "transport input none"]), Ios(connection(router)))
    assert router.config == before
