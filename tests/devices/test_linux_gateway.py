"""The driver, over an `execute` that answers what a gateway would."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.devices.linux_config import GatewaySettings
from harness.devices.linux_gateway import LinuxGateway
from harness.devices.linux_view import SECTION
from harness.errors import DeviceError
from harness.model import Secret

SAMPLES = Path(__file__).parent / "samples/demux-kernel"
SAS = (SAMPLES / "ike-sas.txt").read_text()
SESSIONS = "".join(f"\n{SECTION}{name}\n{(SAMPLES / f'{name}.txt').read_text()}" for name in ("xl2tpd", "pppd", "addresses"))


@dataclass
class Answer:
    status: int = 0
    output: str = ""


class Device:
    """Answers by the first key that is in the command; notes every command."""

    def __init__(self, **answers):
        self.answers = {"--list-sas": Answer(0, SAS), f"{SECTION}%s": Answer(0, SESSIONS), **answers}
        self.commands = []

    async def __call__(self, command, timeout):
        self.commands.append(command)
        return next((answer for key, answer in self.answers.items() if key in command), Answer())


def gateway(device, **settings):
    return LinuxGateway(device, GatewaySettings(**settings), clock=lambda: 1000.5)


@pytest.mark.parametrize(
    ("method", "arguments", "command"),
    [
        ("delete_ipsec", {"spi": "ce59c7fb"}, "swanctl --terminate --ike-id 2 "),
        ("delete_ipsec", {"spi": "c10aa0c5"}, "swanctl --terminate --ike-id 1 "),
        ("delete_ipsec", {"udp_port": 62364}, "swanctl --terminate --ike-id 2 "),
        ("delete_esp", {"spi": "c84fd842"}, "swanctl --terminate --child-id 1 "),
        ("rekey", {"spi": "cae22d9c"}, "swanctl --rekey --child-id 2 "),
        ("rekey_ike", {"udp_port": 4500}, "swanctl --rekey --ike-id 1 "),
    ],
)
def test_the_client_is_found_by_its_spi_or_port(method, arguments, command):
    device = Device()
    asyncio.run(getattr(gateway(device), method)(**arguments))
    assert device.commands[-1].startswith(command)


@pytest.mark.parametrize(("method", "arguments"), [("delete_ipsec", {"spi": "00000001"}), ("rekey", {"spi": "00000001"})])
def test_a_client_that_is_not_there(method, arguments):
    device = Device()
    with pytest.raises(DeviceError, match="00000001"):
        asyncio.run(getattr(gateway(device), method)(**arguments))
    assert len(device.commands) == 1


def test_closing_a_tunnel_and_a_call():
    device = Device()
    asyncio.run(gateway(device).close_l2tp(38638))
    asyncio.run(gateway(device).close_call(53860))
    assert " d 38638" in device.commands[1]
    assert " h 53860" in device.commands[3]


def test_a_tunnel_or_call_that_is_not_there():
    device = Device()
    with pytest.raises(DeviceError, match="no tunnel 53860"):
        asyncio.run(gateway(device).close_l2tp(53860))
    with pytest.raises(DeviceError, match="no call 38638"):
        asyncio.run(gateway(device).close_call(38638))
    assert not any("l2tp-control" in command for command in device.commands)


def test_a_device_that_refuses_says_why():
    device = Device(**{"l2tp-control": Answer(1, "no answer \n")})
    with pytest.raises(DeviceError, match=r"close the tunnel.*no answer"):
        asyncio.run(gateway(device).close_l2tp(38638))


def test_start_puts_the_translator_before_the_server_and_only_with_demux():
    demux, plain = Device(), Device()
    asyncio.run(gateway(demux, variant="demux-user").start())
    asyncio.run(gateway(plain, variant="plain-user").start())
    script = demux.commands[0]
    assert script.index("demux-setup ||") < script.index("iptables-legacy-restore") < script.index("xl2tpd -D")
    assert "demux" not in plain.commands[0]


def test_reconfigure_writes_anew_and_loads():
    device = Device()
    driver = gateway(device)
    asyncio.run(driver.reconfigure(psk=Secret("another"), ike_proposals=("3des-sha1-modp1024",)))
    assert 'secret = "another"' in device.commands[0]
    assert "proposals = 3des-sha1-modp1024\n" in device.commands[0]
    assert "swanctl --load-all" in device.commands[0]
    assert driver.settings.psk.reveal() == "another"


def test_what_cannot_be_reconfigured():
    device = Device()
    with pytest.raises(DeviceError, match="variant"):
        asyncio.run(gateway(device).reconfigure(variant="demux-user"))
    assert device.commands == []


def test_secrets_with_quotes_of_the_shell_stay_what_they_are():
    device = Device()
    asyncio.run(gateway(device).reconfigure(psk=Secret("it's $HOME")))

    async def shell():
        script = device.commands[0].split("loaded=")[0].replace("/etc/", "/tmp/natstorm-no-such-directory/etc/")
        process = await asyncio.create_subprocess_exec("bash", "-n", "-c", script)
        return await process.wait()

    assert asyncio.run(shell()) == 0
    assert """'"'"'s $HOME""" in device.commands[0]


def test_which_daemons_run():
    device = Device(charon=Answer(0, "charon 746\nxl2tpd \n"))
    assert asyncio.run(gateway(device).running()) == {"charon": True, "xl2tpd": False}


def test_a_view_carries_the_moment_it_was_asked_for():
    found = asyncio.run(gateway(Device()).view("before"))
    assert (found.t, found.label) == (1000.5, "before")


@pytest.mark.parametrize("secret", ["Zaphod42's heart", "Trillian-pw-7"])
def test_what_a_device_says_of_its_secrets_is_in_no_error(secret):
    device = Device(**{"swanctl --load-all": Answer(1, f"swanctl: loading secret {secret} failed\n")})
    driver = gateway(device, psk=Secret("Zaphod42's heart"), users={"user1": Secret("another")})
    for call in (driver.start, lambda: driver.reconfigure(users={"user1": Secret("Trillian-pw-7")}), driver.restart_daemons):
        with pytest.raises(DeviceError, match="swanctl: loading secret") as caught:
            asyncio.run(call())
    assert secret not in str(caught.value)
