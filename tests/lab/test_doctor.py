"""`natstorm doctor` says what is missing, how to mend it, and with which status it ends."""

import json

import pytest

from harness.errors import LabError, MissingTool
from harness.lab import doctor, packages


@pytest.fixture
def healthy(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor.enclosure, "obstacle", lambda: None)
    monkeypatch.setattr(packages, "find_program", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(packages, "guest_directory", lambda: tmp_path)
    monkeypatch.setattr(packages, "radius_directory", lambda: tmp_path)
    monkeypatch.setattr(doctor.kernel_modules, "module_root", lambda: tmp_path)
    monkeypatch.setattr(doctor.kernel_modules, "load_order", lambda root, wanted: [])
    monkeypatch.setattr(doctor, "_output", lambda command: "v20.20.2")


def report(as_json=False):
    lines = []
    status = doctor.main(as_json, lines.append)
    return status, "\n".join(lines)


def test_a_machine_that_has_all(healthy):
    status, text = report()
    assert status == 0
    assert "MISSING" not in text
    assert text.endswith("this machine is ready")


def test_a_missing_tool_is_named_with_its_package_and_cure(healthy, monkeypatch, tmp_path):
    monkeypatch.setattr(packages, "find_program", lambda name: None if name == "nft" else f"/usr/bin/{name}")
    monkeypatch.setattr(doctor.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(packages, "APT_LISTS", tmp_path)
    (tmp_path / "x_Packages").write_text("")
    status, text = report()
    assert status == 1
    row = next(line for line in text.splitlines() if line.startswith("MISSING"))
    assert "nft" in row
    assert "Debian package nftables" in row
    assert "cure: sudo apt-get install --no-install-recommends nftables" in text


def test_what_one_command_mends_has_that_command_once(healthy, monkeypatch):
    monkeypatch.setattr(packages, "find_program", lambda name: None if name in ("nft", "conntrack", "ps") else f"/usr/bin/{name}")
    monkeypatch.setattr(doctor.os, "geteuid", lambda: 1000)
    _, text = report()
    command = packages.install_command(packages.missing_tools())
    assert command.endswith("nftables conntrack procps")
    lines = [line.strip() for line in text.splitlines()]
    assert lines.count(f"cure: {command}") == 2  # after conntrack, and after ps
    assert "conntrack" in lines[lines.index(f"cure: {command}") - 1]


def test_namespaces_that_are_forbidden(healthy, monkeypatch):
    obstacle = LabError("make a user namespace", "Operation not permitted", "sudo sysctl kernel.unprivileged_userns_clone=1")
    monkeypatch.setattr(doctor.enclosure, "obstacle", lambda: obstacle)
    status, text = report()
    assert status == 1
    assert "make a user namespace: Operation not permitted" in text
    assert "cure: sudo sysctl kernel.unprivileged_userns_clone=1" in text


@pytest.mark.parametrize("version", ["", "v18.20.4"])
def test_a_run_can_do_without_node_but_doctor_names_the_cure(healthy, monkeypatch, version):
    monkeypatch.setattr(doctor, "_output", lambda command: version)
    status, text = report()
    assert status == 0
    assert "lacking  Node.js" in text
    assert "nodejs.org" in text


def test_json_holds_every_finding(healthy, monkeypatch):
    monkeypatch.setattr(packages, "find_program", lambda name: None if name == "linux.uml" else f"/usr/bin/{name}")
    status, text = report(as_json=True)
    found = json.loads(text)
    assert (status, found["ready"]) == (1, False)
    assert [f["name"] for f in found["findings"] if f["needed"] and not f["ok"]] == ["linux.uml"]


def test_freeradius_can_be_done_without(healthy, monkeypatch):
    def missing():
        raise MissingTool("radius packages", "not unpacked", "natstorm setup")

    monkeypatch.setattr(packages, "radius_directory", missing)
    status, text = report()
    assert status == 0
    assert "lacking" in text
    assert "FreeRADIUS" in text
