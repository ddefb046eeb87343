"""What refuses a line and what does not, by the texts of the virtual router and by those that real ones are known to print."""

from __future__ import annotations

import ast
import inspect

import pytest
from running import connection, play
from test_ios import Router

from harness.devices.ios.driver import Ios
from harness.errors import DeviceError
from harness.model import Printed
from harness.model.refusals import refusal
from harness.virtual.ios import grammar, rules
from harness.virtual.ios.grammar import Wrong


def texts(module):
    """What each `raise Refused(…)` of a module says, with a word in the place of each value."""
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and ast.unparse(node.exc.func) == "Refused":
            parts = [one.values if isinstance(one, ast.JoinedStr) else [one] for one in node.exc.args]
            yield "\n".join("".join(one.value if isinstance(one, ast.Constant) else "X" for one in line) for line in parts)


RULES = tuple(texts(rules))
SYNTAX = tuple("\n".join(grammar.told(Wrong(what), "sh x", 4)) for what in ("invalid", "incomplete", "ambiguous"))
REAL = (
    "Command rejected: Bad VLAN list",
    "Command rejected (FastEthernet0/1): not a switching port",
    "Command authorization failed.",
    "%Pool default in use, cannot destroy",
    "%Dynamic mapping in use, cannot change",
    "% 10.1.1.0 overlaps with FastEthernet0/1",
    "Bad mask /0 for address 10.1.1.1",
    "Crypto-map l2tpsec is in use by interface(s): Fa0/0. Please remove the crypto map from the above interface(s) first",
    "ERROR: transform set with tag ts does not exist.",
    "A pre-shared key for address mask 0.0.0.0 0.0.0.0 already exists!",
    "% Please define a domain-name first.",
    "%%Something that nobody has seen yet",
    "% This command is not supported on this platform",
    "%Crypto-map is in use",
)
HARMLESS = (
    "",
    "\n".join(rules.NEW_MAP),
    "%No active L2TP tunnels",
    "% Generating 1024 bit RSA keys, keys will be non-exportable...[OK]",
    "% The key modulus size is 1024 bits",
    "% Warning: use /31 mask on non point-to-point interface cautiously",
    "%Warning: portfast should only be enabled on ports connected to a single host.",
    "% This command will take effect after the next reload",
    "% Interface FastEthernet0/0 IPv4 disabled and address(es) removed due to enabling VRF red",
    "%Default route without gateway, if not a point-to-point interface, may impact performance",
    "%SYS-5-CONFIG_I: Configured from console by vty0 (192.0.2.1)",
    "%CRYPTO-6-ISAKMP_ON_OFF: ISAKMP is ON",
    "*Mar  1 00:00:21.123: %LINK-3-UPDOWN: Interface FastEthernet0/0, changed state to up",
    "00:00:21: %LINEPROTO-5-UPDOWN: Line protocol on Interface FastEthernet0/0, changed state to up",
    "Building configuration...\n[OK]",
    "NOTE: it is not allowed to omit what follows",
    "Enter configuration commands, one per line.  End with CNTL/Z.",
    " description Profile l2tp",
    "The enable secret you have chosen is the same as your enable password.\nThis is not recommended.  Re-enter the enable secret.",
)


def test_the_virtual_router_has_texts_of_its_own():
    assert len(RULES) > 5
    assert any(not one.startswith("%") for one in RULES)


@pytest.mark.parametrize("text", [*RULES, *SYNTAX, *REAL])
def test_it_refuses(text):
    assert refusal(text)
    assert refusal(f"\r\n*Mar  1 00:00:21.123: %SYS-5-CONFIG_I: Configured\r\n{text}\r\n") == refusal(text)
    assert Printed(0.0, "edge", "a line", text).refused == refusal(text)


@pytest.mark.parametrize("text", HARMLESS)
def test_it_does_not_refuse(text):
    assert refusal(text) == ""
    assert Printed(0.0, "edge", "a line", text).refused == ""


def test_what_a_command_shows_is_no_refusal_without_a_percent_sign():
    shown = "Cannot forward 3 packets\n"
    assert Printed(0.0, "edge", "show ip traffic", shown).refused == ""
    assert Printed(0.0, "edge", "show ip traffic", "% Invalid input detected at '^' marker.").refused
    assert Printed(0.0, "edge", "clear ip traffic", shown).refused


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["crypto map M 10 ipsec-isakmp", "crypto map M 10 ipsec-manual"], "Attempt to change the type of an existing crypto map"),
        (
            ["crypto map M 10 ipsec-isakmp profile q", "crypto map M 20 ipsec-isakmp profile q"],
            "Profile q is already used by entry 10",
        ),
        (["no interface FastEthernet0/0"], "Removal of physical interfaces is not permitted"),
    ],
)
def test_the_driver_tells_what_was_refused_and_at_which_line(tmp_path, lines, said):
    async def body(device):
        with pytest.raises(DeviceError) as caught:
            await device.configure(lines)
        assert said in str(caught.value)
        assert f"at the line {lines[-1]!r}" in str(caught.value)
        await device.configure(["crypto map M 30 ipsec-isakmp"])  # it says a note, and goes on

    with Router(tmp_path) as router:
        play(body, Ios(connection(router)))
        assert "crypto map M 30 ipsec-isakmp" in router.config
