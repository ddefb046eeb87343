"""Which provider a testbed gets, and what of the file reaches it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.errors import DeviceError
from harness.lab.providers import of_testbed
from harness.lab.providers.eve_ng import EveNg, EveNgSpec
from harness.lab.providers.gns3 import ClientsAt, Gns3, Gns3Spec
from harness.lab.providers.namespaces import Namespaces
from harness.lab.providers.of_testbed import provider_of
from harness.lab.providers.provider import Provider
from harness.lab.providers.static import Static
from harness.model.reach import Connection
from harness.model.secret import Secret
from harness.testbed import check

TESTBEDS = Path(__file__).parents[3] / "testbeds"
JUMP = "devices:\n  evebox: {type: jump, os: linux, connections: {cli: {protocol: ssh, ip: 192.168.60.5}}}\n"


@pytest.fixture
def edited(tmp_path, monkeypatch):
    """A shipped testbed with texts replaced, in pairs; its variables are set."""
    for name in ("GNS3_PASSWORD", "EVE_PASSWORD", "PSK", "PPP_PASSWORD", "LAB_PASSWORD", "ENABLE"):
        monkeypatch.setenv(f"NATSTORM_{name}", f"the {name}")

    def edit(name, *pairs):
        text = (TESTBEDS / name).read_text()
        for old, new in pairs:
            assert text.count(old) == 1
            text = text.replace(old, new)
        file = tmp_path / name
        file.write_text(text)
        return check(file)

    return edit


def test_gns3_is_told_what_the_testbed_says(edited, tmp_path):
    (tmp_path / "lab.gns3project").touch()
    (tmp_path / "ca.pem").touch()
    options = "      options:\n        start: [R1, nat-box]\n        file: lab.gns3project\n        ca_file: ca.pem\n"
    lab = provider_of(edited("gns3.yaml", ("      options:\n", options)), "nightly", tmp_path, tmp_path / "locks")
    assert isinstance(lab, Gns3)
    assert lab.spec == Gns3Spec(
        "http://192.168.122.1:3080", "natstorm", "admin", Secret("the GNS3_PASSWORD"), tmp_path / "lab.gns3project", None,
        ("R1", "nat-box"), str(tmp_path / "ca.pem"), ClientsAt("nat-box", "eth0", "tap-natstorm"),
    )  # fmt: skip
    assert lab.spec.password.reveal() == "the GNS3_PASSWORD"
    assert (lab.lock.purpose, lab.lock.directory) == ("nightly", tmp_path / "locks")


def test_a_gns3_server_that_asks_nobody_needs_nobody(edited, tmp_path):
    login = '    gns3:\n      username: admin\n      password: "%ENV{NATSTORM_GNS3_PASSWORD}"\n'
    lab = provider_of(edited("gns3.yaml", (login, "")), "", tmp_path, tmp_path)
    assert (lab.spec.user, lab.spec.password) == ("", None)


def test_eve_ng_is_told_what_the_testbed_says(edited, tmp_path):
    rows = ("clients: pnet1", "tenant: 0", "verify: false", "host: evebox", "start: [R1]")
    options = "\n        ".join(("      options:", *rows)) + "\n"
    testbed = edited("eve-ng.yaml", ("      options:\n", options), ("devices:\n", JUMP))
    lab = provider_of(testbed, "", tmp_path)
    assert isinstance(lab, EveNg)
    host = Connection("evebox", "192.168.60.5", username="natstorm", password=Secret("the LAB_PASSWORD"))
    assert lab.spec == EveNgSpec(
        "https://192.168.60.5", "/natstorm/interop.unl", "natstorm", Secret("the EVE_PASSWORD"), verify=False, start=("R1",),
        clients="pnet1", host=host, tenant=0,
    )  # fmt: skip
    assert lab.spec.password.reveal() == "the EVE_PASSWORD"
    assert lab._on_host is not None
    plain = provider_of(edited("eve-ng.yaml"), "", tmp_path)
    assert (plain.spec.verify, plain.spec.start, plain.spec.tenant, plain._on_host) == (True, None, None, None)


def test_devices_that_are_there_are_locked(edited, tmp_path):
    lab = provider_of(edited("hardware.yaml"), "nightly", None, tmp_path)
    assert isinstance(lab, Static)
    assert lab.lock.directory == tmp_path


@pytest.mark.parametrize("name", ["virtual.yaml", "linux.yaml"])
def test_a_lab_of_software_is_asked_of_its_keeper(name):
    testbed = check(TESTBEDS / name)
    lab = provider_of(testbed, "")
    assert isinstance(lab, Namespaces)
    assert isinstance(lab, Provider)
    assert lab.testbed is testbed


def test_a_command_on_the_host_runs_there_and_its_failure_is_told(monkeypatch):
    """Without a server: the connection is stood in for."""
    ran = []

    class Stand:
        def __init__(self, connection, *, root, secrets):
            assert (connection.device, root, secrets) == ("evebox", True, ())

        async def __aenter__(self):
            return self

        async def __aexit__(self, *_):
            ran.append("closed")

        async def execute(self, command):
            ran.append(command)
            return of_testbed_result(1 if "vunl9" in command else 0)

    monkeypatch.setattr(of_testbed, "SshConnection", Stand)
    run = of_testbed.on_host(Connection("evebox", "192.0.2.1"), ())
    run("ip link set dev vunl0_1_0 down")
    assert ran == ["ip link set dev vunl0_1_0 down", "closed"]
    with pytest.raises(DeviceError, match=r"evebox.*vunl9.*no such device"):
        run("ip link set dev vunl9_1_0 down")


def of_testbed_result(status):
    from harness.devices.ssh import Result

    return Result(status, f"no such device{os.linesep}")
