"""Which service is stopped with a daemon: by bash on this machine, with processes and control groups of the test's own making."""

from __future__ import annotations

import subprocess

import pytest

from harness.devices import linux_shared, linux_state
from harness.devices.linux_gateway import WAIT_FUNCTION
from harness.devices.linux_state import Wanted
from harness.devices.linux_view import sections

SESSION = "0::/user.slice/user-0.slice/session-3.scope\n"
LISTENER, PARENT, DAEMON = 50, 60, 412


def namespaces(folder, elsewhere=""):
    (folder / "ns").mkdir(exist_ok=True)
    for kind in ("net", "pid"):
        link = folder / "ns" / kind
        link.unlink(missing_ok=True)
        link.symlink_to(f"{kind}:[{2 if kind == elsewhere else 1}]")


def bash(
    tmp_path, script, daemon, session=SESSION, parent=SESSION, listener="0::/system.slice/rescue-shell.service\n", elsewhere=""
):
    """The script's output, on a machine where charon is process 412 and this shell was started by 60, that by 50; each argument is
    what /proc/PID/cgroup says of one. charon is in another namespace of the kind `elsewhere`. `systemctl` and `kill` say what they
    are told."""
    proc = tmp_path / "proc"
    for pid, group, ppid in ((DAEMON, daemon, 1), (PARENT, parent, LISTENER), (LISTENER, listener, 1)):
        (proc / str(pid)).mkdir(parents=True, exist_ok=True)
        (proc / str(pid) / "cgroup").write_text(group)
        (proc / str(pid) / "status").write_text(f"Name:\tx\nPPid:\t{ppid}\n")
        namespaces(proc / str(pid), elsewhere if pid == DAEMON else "")
    (proc / str(DAEMON) / "cmdline").write_bytes(b"/usr/lib/ipsec/charon\0--debug-ike\0")
    begin = f"""
proc={proc}; mkdir -p $proc/$$; printf 'Name:\\tbash\\nPPid:\\t{PARENT}\\n' > $proc/$$/status
cat > $proc/$$/cgroup <<'end'
{session}end
mkdir -p $proc/$$/ns; ln -sfn 'net:[1]' $proc/$$/ns/net; ln -sfn 'pid:[1]' $proc/$$/ns/pid
pidof() {{ [ "${{@: -1}}" = charon ] && [ ! -e $proc/ended ] && echo {DAEMON}; }}
systemctl() {{ echo "systemctl $*"; touch $proc/ended; }}
kill() {{ echo "kill $*"; touch $proc/ended; }}
ip() {{ :; }}; nft() {{ :; }}
"""
    whole = begin + script.replace("/proc/", f"{proc}/")
    done = subprocess.run(["bash"], input=whole, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def seen(tmp_path, **groups):
    """What is saved of charon, what taking over does to it, and what is told of it before."""
    wanted = Wanted(daemons=linux_shared.DAEMONS)
    kept = linux_state.read(bash(tmp_path, linux_state.script(wanted), **groups), wanted)
    told = linux_shared.read(bash(tmp_path, linux_shared.look(), **groups)).notes
    done = bash(tmp_path, WAIT_FUNCTION + linux_shared.TAKE_OVER, **groups)
    assert kept.daemons["xl2tpd"] == ()
    return [one.unit for one in kept.daemons["charon"]], done.strip(), told


@pytest.mark.parametrize("group", [
    "0::/system.slice/strongswan-starter.service\n",
    "4:memory:/system.slice\n1:name=systemd:/system.slice/strongswan-starter.service\n0::/\n",
])  # fmt: skip
def test_a_daemons_own_service_is_stopped_and_started_again(tmp_path, group):
    unit, done, told = seen(tmp_path, daemon=group)
    assert (unit, done, told) == (["strongswan-starter.service"], "systemctl stop strongswan-starter.service", ())


def test_a_daemon_of_a_login_session_has_no_service(tmp_path):
    assert seen(tmp_path, daemon=SESSION) == ([""], f"kill {DAEMON}", ())


@pytest.mark.parametrize(
    "name", ["ssh.service", "sshd.service", "sshd@7-10.0.0.1:22.service", "getty@tty1.service", "dropbear.service"]
)
def test_a_service_by_which_one_logs_in_is_never_stopped(tmp_path, name):
    unit, done, told = seen(tmp_path, daemon=f"0::/system.slice/{name}\n")
    assert (unit, done) == ([""], f"kill {DAEMON}")
    (note,) = told
    assert note.startswith(f"charon (process {DAEMON}) runs in {name}, which stays")


@pytest.mark.parametrize("of", ["session", "parent", "listener"])
def test_nor_one_that_our_own_session_comes_from_whatever_it_is_called(tmp_path, of):
    path = "0::/system.slice/our-way-in.service\n"
    there = path.replace(".service", ".service/session-1") if of == "session" else path
    unit, done, told = seen(tmp_path, daemon=path, **{of: there})
    assert (unit, done) == ([""], f"kill {DAEMON}")
    assert "our-way-in.service, which stays" in told[0]


def test_one_whose_name_begins_like_ours_is_another(tmp_path):
    session = "0::/system.slice/vpn.service.d\n"
    unit, done, _ = seen(tmp_path, daemon="0::/system.slice/vpn.service\n", session=session)
    assert (unit, done) == (["vpn.service"], "systemctl stop vpn.service")


def test_a_users_own_service_is_none_of_the_systems(tmp_path):
    unit, done, told = seen(tmp_path, daemon="0::/user.slice/user-1000.slice/user@1000.service/app.slice/strongswan.service\n")
    assert (unit, done) == ([""], f"kill {DAEMON}")
    assert "strongswan.service, which stays" in told[0]


@pytest.mark.parametrize("kind", ["net", "pid"])
def test_a_daemon_of_a_container_is_nobodys_business(tmp_path, kind):
    assert seen(tmp_path, daemon="0::/system.slice/vpn.service\n", elsewhere=kind) == ([], "", ())


def test_the_section_is_there_where_nothing_runs(tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/ended").touch()
    assert sections(bash(tmp_path, linux_shared.look(), daemon=SESSION))["spared"].strip() == ""
