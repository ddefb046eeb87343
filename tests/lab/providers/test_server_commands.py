"""`natstorm lab up|status|console|down` as typed on a testbed with devices of others, against a GNS3 server that records what it is
asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from gns3_fake import fake

from harness.cli import main
from harness.lab import enclosure, unpacked
from harness.lab.providers.of_testbed import provider_of
from harness.lab.providers.provider import OnServer
from harness.testbed import check

TESTBEDS = enclosure.ROOT / "testbeds"


@pytest.fixture
def server():
    with fake() as one:
        project = one.add_project("natstorm")
        router, nat = one.add_node(project, "R1", "dynamips"), one.add_node(project, "nat-box")
        one.add_link(project, (router, 0), (nat, 0))
        one.add_node(project, "screen", "qemu", "started", "vnc")
        yield one


@pytest.fixture
def places(tmp_path, monkeypatch):
    """All states and locks in a place of the test's own; the examples' secrets."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("PSK", "PPP_PASSWORD", "LAB_PASSWORD", "ENABLE"):
        monkeypatch.setenv(f"NATSTORM_{name}", "x")
    monkeypatch.setenv("NATSTORM_GNS3_PASSWORD", "s3cret")


@pytest.fixture
def file(server, places, tmp_path):
    """The example for GNS3, with its project on that server, where the clients are joined already."""
    text = (TESTBEDS / "gns3.yaml").read_text()
    begin, end = text.index("        clients:  "), text.index("    allow:\n")
    path = tmp_path / "gns3.yaml"
    path.write_text((text[:begin] + text[end:]).replace("http://192.168.122.1:3080", server.url))
    return str(path)


def states(server):
    return {node["name"]: node["status"] for node in server.nodes.values()}


def test_what_up_started_stays_until_down_in_another_process(server, file, capsys):
    assert main(["lab", "status", "--testbed", file]) == 1
    assert "lab natstorm, gns3, not up" in capsys.readouterr().out
    assert main(["lab", "up", "--testbed", file]) == 0
    said = capsys.readouterr().out
    assert f"lab down --testbed {file}" in said
    assert states(server) == {"R1": "started", "nat-box": "started", "screen": "started"}
    provider = provider_of(check(file), "nightly")
    assert isinstance(provider, OnServer)
    provider.lock.acquire()  # nobody has it: a run may begin, and undoes it
    provider.lock.release()

    assert main(["lab", "status", "--testbed", file]) == 0
    said = capsys.readouterr().out
    assert "lab natstorm, gns3, up" in said
    assert "  R1           dynamips, started  telnet 127.0.0.1 " in said
    assert "  link R1-nat-box (R1 " in said
    assert main(["lab", "status", "--json", "--testbed", file]) == 0
    assert {node["name"]: node["state"] for node in json.loads(capsys.readouterr().out)["nodes"]} == states(server)

    assert main(["lab", "down", "--testbed", file]) == 0
    assert "the lab is down" in capsys.readouterr().out
    assert states(server) == {"R1": "stopped", "nat-box": "stopped", "screen": "started"}
    assert main(["lab", "down", "--testbed", file]) == 0
    assert server.did("DELETE") == []


def test_a_dry_run_names_what_up_would_start_and_starts_nothing(server, file, capsys):
    assert main(["lab", "up", "--dry-run", "--testbed", file]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "would start R1 (dynamips, stopped) of natstorm on gns3",
        "would start nat-box (qemu, stopped) of natstorm on gns3",
    ]
    assert states(server) == {"R1": "stopped", "nat-box": "stopped", "screen": "started"}
    assert main(["lab", "up", "--testbed", file]) == 0
    capsys.readouterr()
    assert main(["lab", "up", "--dry-run", "--testbed", file]) == 0
    assert "would start nothing" in capsys.readouterr().out
    assert main(["lab", "down", "--testbed", file]) == 0


def test_a_lab_that_a_run_has_is_left_to_it(server, file, capsys):
    run = provider_of(check(file), "nightly")
    run.lock.acquire()
    try:
        for verb in ("up", "down"):
            assert main(["lab", verb, "--testbed", file]) == 3
            assert "for 'nightly'" in capsys.readouterr().err
        assert server.did("POST .*/nodes/") == []
    finally:
        run.lock.release()


def test_a_console_is_called_by_the_program_for_it(server, file, tmp_path):
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "telnet").write_text('#!/bin/sh\necho "telnet $@"; exit 7\n')
    (programs / "telnet").chmod(0o755)

    def console(node, path):
        command = [sys.executable, "-m", "harness.cli", "lab", "console", node, "--testbed", file]
        environment = {**os.environ, "PATH": str(path), "PYTHONPATH": str(enclosure.ROOT)}
        return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, check=False)

    (port,) = [node["console"] for node in server.nodes.values() if node["name"] == "R1"]
    called = console("R1", programs)
    assert (called.returncode, called.stdout) == (7, f"telnet 127.0.0.1 {port}\n")


def test_a_console_without_the_program_for_it(server, file, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(unpacked, "offer", lambda *_: None)  # nor is it unpacked
    monkeypatch.setenv("PATH", str(tmp_path))
    (port,) = [node["console"] for node in server.nodes.values() if node["name"] == "R1"]
    assert main(["lab", "console", "R1", "--testbed", file]) == 3
    assert f"telnet is not installed\n  cure: install it, or open it otherwise: telnet 127.0.0.1 {port}" in capsys.readouterr().err


def test_a_console_that_no_program_of_ours_speaks_is_told(server, file, capsys):
    assert main(["lab", "console", "screen", "--testbed", file]) == 3
    assert "it speaks vnc, which natstorm does not\n  cure: a program that does, for vnc://127.0.0.1:" in capsys.readouterr().err
    assert main(["lab", "console", "R9", "--testbed", file]) == 3
    assert "no such node in the lab\n  cure: one of R1, nat-box, screen" in capsys.readouterr().err


def test_a_variant_is_a_run_s_to_choose(server, file, capsys):
    assert main(["lab", "up", "--testbed", file, "--variant", "demux"]) == 2
    assert "leave --variant out" in capsys.readouterr().err
    assert server.did("POST") == []


def test_devices_that_are_there_need_nobody_to_start_them(places, capsys):
    hardware = str(TESTBEDS / "hardware.yaml")
    for verb in ("up", "down"):
        assert main(["lab", verb, "--testbed", hardware]) == 3
        said = capsys.readouterr().err
        assert "the provider static has no means for it" in said
        assert "qualify takes the locks on them" in said
    assert main(["lab", "status", "--testbed", hardware]) == 1
    assert "gateway      device, unknown  ssh " in capsys.readouterr().out
