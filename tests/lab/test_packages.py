"""Debian packages: what is read from apt, what is done to unpacked files, and what a user is told who may not install."""

import json
import os
import signal

import pytest

from harness.errors import LabError, MissingTool
from harness.lab import packages

# from `apt-get --simulate install`, Debian 12
SIMULATED = """Reading package lists...
The following NEW packages will be installed:
  libstrongswan strongswan-swanctl
Inst libstrongswan (5.9.8-5+deb12u6 Debian-Security:12/oldstable-security [amd64])
Inst iputils-ping (3:20221126-1+deb12u1 Debian:12.15/oldstable [amd64])
Inst libssl3 [3.0.15-1~deb12u1] (3.0.16-1~deb12u1 Debian:12.15/oldstable [amd64]) []
Conf libstrongswan (5.9.8-5+deb12u6 Debian-Security:12/oldstable-security [amd64])
"""


def test_closure_is_name_and_version_of_what_would_be_installed():
    assert packages.parse_closure(SIMULATED) == [
        "iputils-ping=3:20221126-1+deb12u1",
        "libssl3=3.0.16-1~deb12u1",
        "libstrongswan=5.9.8-5+deb12u6",
    ]


def test_closure_of_a_host_that_has_all_is_empty():
    assert packages.parse_closure("Reading package lists...\n0 upgraded, 0 newly installed\n") == []


def test_a_plan_that_cannot_be_read_is_an_error():
    with pytest.raises(LabError, match="could not be read"):
        packages.parse_closure(SIMULATED + "Inst libfoo\n")


def test_unpacked_files_fit_a_merged_usr_and_can_be_read_by_all(tmp_path):
    for path in ("lib/x86_64/a.so", "usr/lib/x86_64/b.so", "sbin/tool", "etc/ppp/ip-up.d/hook", "etc/ppp/ip-up", "etc/ppp/options"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(path)
        (tmp_path / path).chmod(0o600)
    (tmp_path / "usr/lib/link").symlink_to("x86_64/b.so")
    packages.tidy_root(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["etc", "usr"]
    assert (tmp_path / "usr/lib/x86_64/a.so").read_text() == "lib/x86_64/a.so"
    assert (tmp_path / "usr/lib/link").read_text() == "usr/lib/x86_64/b.so"
    assert (tmp_path / "usr/sbin/tool").exists()
    assert [p.name for p in (tmp_path / "etc/ppp").iterdir()] == ["options"]
    assert (tmp_path / "etc/ppp/options").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("own", [None, "#!/bin/sh\nexit 0\n"])
def test_daemons_are_held_back_and_the_hosts_policy_comes_back(tmp_path, own):
    policy = tmp_path / "policy-rc.d"
    if own:
        policy.write_text(own)

    def install():
        with packages.daemons_held_back(policy):
            assert os.stat(policy).st_mode & 0o111
            assert "exit 101" in policy.read_text()
            raise RuntimeError("apt failed")

    with pytest.raises(RuntimeError):
        install()
    assert (policy.read_text() if policy.exists() else None) == own
    assert [p.name for p in tmp_path.iterdir()] == (["policy-rc.d"] if own else [])


def test_the_hosts_policy_comes_back_when_the_run_is_told_to_end(tmp_path):
    policy = tmp_path / "policy-rc.d"
    policy.write_text("own")
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit), packages.daemons_held_back(policy):
        signal.raise_signal(signal.SIGTERM)
    assert policy.read_text() == "own"
    assert signal.getsignal(signal.SIGTERM) == before


def test_the_hosts_policy_comes_back_after_a_run_that_was_killed(tmp_path):
    policy = tmp_path / "policy-rc.d"
    policy.write_text(packages.POLICY_TEXT)  # as the killed run left it
    (tmp_path / "policy-rc.d.natstorm-saved").write_text("own")
    with packages.daemons_held_back(policy):
        pass
    assert policy.read_text() == "own"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache whose packages fit the host as it is."""
    status = tmp_path / "status"
    status.write_text("Package: x\n")
    monkeypatch.setattr(packages, "DPKG_STATUS", status)
    monkeypatch.setattr(packages, "PROJECT", tmp_path)
    directory = tmp_path / ".cache" / "guest"
    (directory / "0123").mkdir(parents=True)
    record = {"wanted": list(packages.GUEST_PACKAGES), "host": packages._host_state(), "directory": "0123"}
    (directory / "current.json").write_text(json.dumps(record))
    judge = packages.cache_directory(packages.RADIUS)
    (judge / "4567").mkdir(parents=True)
    record = {"wanted": packages.RADIUS.record, "host": packages._host_state(), "directory": "4567"}
    (judge / "current.json").write_text(json.dumps(record))
    return directory


@pytest.mark.parametrize(("user", "cure"), [(0, r"natstorm setup$"), (1000, r"apt-get .*nftables'?$")])
def test_what_a_run_requires_is_missed_before_it_begins(cache, monkeypatch, user, cure):
    monkeypatch.setattr(packages.os, "geteuid", lambda: user)
    monkeypatch.setattr(packages, "missing_tools", list)
    packages.require(guest=True)
    monkeypatch.setattr(packages, "missing_tools", lambda: [tool for tool in packages.HOST_TOOLS if tool.program == "nft"])
    with pytest.raises(MissingTool, match=cure):
        packages.require(guest=True)
    monkeypatch.setattr(packages, "missing_tools", list)
    (cache / "current.json").unlink()
    with pytest.raises(MissingTool, match="natstorm setup"):
        packages.require(guest=True)


def test_a_lab_without_a_guest_requires_nothing_of_one(tmp_path, monkeypatch):
    monkeypatch.setattr(packages, "PROJECT", tmp_path)
    monkeypatch.setattr(packages, "missing_tools", lambda: [tool for tool in packages.HOST_TOOLS if tool.program == "linux.uml"])
    packages.require(guest=False)
    with pytest.raises(MissingTool, match=r"linux\.uml"):
        packages.require(guest=True)


def test_the_guests_directory(cache):
    assert packages.guest_directory() == cache / "0123"


@pytest.mark.parametrize("harm", ["packages changed", "directory gone", "record garbled", "record gone", "others wanted"])
def test_a_cache_that_does_not_fit_is_not_used(cache, harm, monkeypatch):
    if harm == "packages changed":
        packages.DPKG_STATUS.write_text("Package: x\n\nPackage: y\n")
    elif harm == "directory gone":
        (cache / "0123").rmdir()
    elif harm == "record garbled":
        (cache / "current.json").write_text('{"wanted": [')
    elif harm == "record gone":
        (cache / "current.json").unlink()
    else:
        monkeypatch.setattr(packages, "GUEST_PACKAGES", ("another",))
    with pytest.raises(MissingTool, match="natstorm setup"):
        packages.guest_directory()


def test_setup_starts_no_program_when_nothing_is_missing(cache, monkeypatch):
    monkeypatch.setattr(packages, "missing_tools", list)
    monkeypatch.setattr(packages.subprocess, "Popen", lambda *a, **k: pytest.fail("a program was started"))
    packages.setup(say=pytest.fail)


def test_an_ordinary_user_is_told_what_to_type(cache, monkeypatch):
    monkeypatch.setattr(packages, "missing_tools", lambda: [packages.HOST_TOOLS[0], packages.HOST_TOOLS[3]])
    monkeypatch.setattr(packages, "find_program", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(packages.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(packages, "APT_LISTS", cache)
    (cache / "x_Packages").write_text("")
    command = "sudo apt-get install --no-install-recommends user-mode-linux nftables"
    with pytest.raises(MissingTool, match=f"cure: {command}$"):
        packages.setup(say=lambda line: None)


@pytest.mark.parametrize(
    ("user", "lists", "sudo", "command"),
    [
        (0, True, True, "apt-get install --no-install-recommends nftables"),
        (0, False, False, "apt-get update && apt-get install --no-install-recommends nftables"),
        (1000, True, True, "sudo apt-get install --no-install-recommends nftables"),
        (1000, False, True, "sudo sh -c 'apt-get update && apt-get install --no-install-recommends nftables'"),
        (1000, True, False, "su -l -c 'apt-get install --no-install-recommends nftables'"),
        (1000, False, False, "su -l -c 'apt-get update && apt-get install --no-install-recommends nftables'"),
    ],
)
def test_the_command_can_be_typed_as_it_stands(monkeypatch, tmp_path, user, lists, sudo, command):
    monkeypatch.setattr(packages.os, "geteuid", lambda: user)
    monkeypatch.setattr(packages, "APT_LISTS", tmp_path)
    monkeypatch.setattr(packages, "find_program", lambda name: f"/usr/bin/{name}" if name != "sudo" or sudo else None)
    if lists:
        (tmp_path / "deb.debian.org_main_Packages.lz4").write_text("")
    assert packages.install_command([tool for tool in packages.HOST_TOOLS if tool.program == "nft"]) == command


def test_without_package_lists_an_ordinary_user_is_told_to_update(cache, monkeypatch, tmp_path):
    (cache / "current.json").unlink()
    monkeypatch.setattr(packages, "missing_tools", list)
    monkeypatch.setattr(packages, "APT_LISTS", tmp_path / "none")
    monkeypatch.setattr(packages.os, "geteuid", lambda: 1000)
    with pytest.raises(MissingTool, match="apt-get update"):
        packages.setup(say=lambda line: None)


def test_a_mirror_that_does_not_answer_is_named(monkeypatch, tmp_path):
    said = "Err:1 http://mirror.example bookworm InRelease\n  Could not resolve 'mirror.example'\nReading package lists...\n"
    monkeypatch.setattr(packages, "APT_LISTS", tmp_path)
    monkeypatch.setattr(packages.os, "geteuid", lambda: 0)
    monkeypatch.setattr(packages, "_apt", lambda *arguments, **options: said)
    with pytest.raises(LabError, match=r"Could not resolve 'mirror.example'(.|\n)*is a Debian mirror in reach"):
        packages._update_lists_if_missing(lambda line: None)


def test_a_system_without_apt_is_told_so(cache, monkeypatch):
    (cache / "current.json").unlink()
    monkeypatch.setattr(packages, "missing_tools", list)
    monkeypatch.setattr(packages, "find_program", lambda name: None)
    with pytest.raises(MissingTool, match="not a Debian system"):
        packages.setup(say=lambda line: None)


def test_a_cache_of_another_user_is_named(cache, monkeypatch):
    (cache / "current.json").unlink()

    real = packages.Path.open

    def refuse(path, *arguments, **options):
        if path.name == "setup.lock":
            raise PermissionError(13, "Permission denied")
        return real(path, *arguments, **options)

    monkeypatch.setattr(packages.Path, "open", refuse)
    with pytest.raises(MissingTool, match="belongs to another user: Permission denied"):
        packages.setup(say=lambda line: None)


def test_packages_are_unpacked_once_and_a_failure_leaves_no_trace(cache, monkeypatch):
    (cache / "current.json").unlink()
    calls = []

    def apt(*arguments, cwd=None, say=None):
        calls.append(arguments[0])
        if arguments[0] == "download":
            if len(calls) == 2:
                raise LabError("apt-get download …", "no route to host")
            (cwd / "a_1_amd64.deb").write_text("")
        return SIMULATED

    def dpkg(command, **options):
        assert command[:2] == ["dpkg-deb", "-x"]
        with open(f"{command[3]}/file", "w") as file:
            file.write("content")

    monkeypatch.setattr(packages, "missing_tools", list)
    monkeypatch.setattr(packages, "_apt", apt)
    monkeypatch.setattr(packages, "_call", dpkg)
    monkeypatch.setattr(packages, "APT_LISTS", cache)
    (cache / "x_Packages").write_text("")
    before = sorted(p.name for p in cache.iterdir())
    with pytest.raises(LabError, match="no route"):
        packages.setup(say=lambda line: None)
    assert sorted(p.name for p in cache.iterdir()) == sorted([*before, "setup.lock"])
    packages.setup(say=lambda line: None)
    assert (packages.guest_directory() / "file").read_text() == "content"
    packages.setup(say=pytest.fail)
    assert calls == ["--simulate", "download", "--simulate", "download"]


def test_what_a_bundle_can_do_without_is_not_fetched(cache, monkeypatch):
    judge = packages.cache_directory(packages.RADIUS)
    (judge / "current.json").unlink()
    fetched = []
    names = (*packages.RADIUS.wanted, *packages.RADIUS.without, "libtalloc2")
    plan = "".join(f"Inst {name} (1 Debian:12 [amd64])\n" for name in names)

    def apt(*arguments, cwd=None, say=None):
        if arguments[0] == "download":
            fetched.extend(arguments[1:])
            (cwd / "a_1_amd64.deb").write_text("")
        return plan

    monkeypatch.setattr(packages, "missing_tools", list)
    monkeypatch.setattr(packages, "_apt", apt)
    monkeypatch.setattr(packages, "_call", lambda command, **options: "")
    monkeypatch.setattr(packages, "APT_LISTS", cache)
    (cache / "x_Packages").write_text("")
    packages.setup(say=lambda line: None)
    assert fetched == ["freeradius-utils=1", "freeradius=1", "libtalloc2=1"]
    assert packages.radius_directory().parent == judge
    assert packages.guest_directory() == cache / "0123"
    packages.setup(say=pytest.fail)


def test_without_freeradius_everything_else_is_there(cache, monkeypatch):
    (packages.cache_directory(packages.RADIUS) / "current.json").unlink()

    def apt(*arguments, cwd=None, say=None):
        raise LabError("apt-get …", "no route to host")

    monkeypatch.setattr(packages, "missing_tools", list)
    monkeypatch.setattr(packages, "_apt", apt)
    monkeypatch.setattr(packages, "APT_LISTS", cache)
    monkeypatch.setattr(packages.os, "geteuid", lambda: 1000)
    (cache / "x_Packages").write_text("")
    said = []
    packages.setup(say=said.append)
    assert any("FreeRADIUS is not to be had" in line and "no route to host" in line for line in said)
    assert packages.guest_directory() == cache / "0123"
    with pytest.raises(MissingTool, match="natstorm setup"):
        packages.radius_directory()
