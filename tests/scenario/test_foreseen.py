"""What a run would send and change, told and judged before the first packet."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from harness.errors import UsageError
from harness.lab import enclosure
from harness.lab.providers.static import taken_by
from harness.model import Allowance, CaptureSource, Connection
from harness.model.reach import LabSpec
from harness.scenario.foreseen import SET_UP_PACKETS, Burden, judge, told
from harness.testbed import check

NAT, GATEWAY = Connection("nat", "10.99.0.2"), Connection("gateway", "10.99.0.3")
NETWORKS = ("10.0.0.0/20", "192.0.2.0/30", "203.0.113.0/24", "172.16.0.0/20")
PAIR = Burden("demux-pair-2", 2, 5.0)


def bench(name="virtual", *, networks=NETWORKS, rate=1000):
    known = check(enclosure.ROOT / f"testbeds/{name}.yaml")
    nat = replace(known.nat, connection=NAT, inside_capture=CaptureSource("tcpdump", "inside0", NAT))
    gateway = replace(known.gateway, connection=GATEWAY)
    return replace(known, nat=nat, gateway=gateway, allowance=Allowance(tuple(networks), rate, 17))


def test_a_burden_is_its_busiest_second():
    assert PAIR.packets_per_s == 2 * SET_UP_PACKETS + 10
    assert Burden("storm", 500, 0.5, arrivals_per_s=10.0).packets_per_s == 10 * SET_UP_PACKETS + 250
    assert Burden("storm", 5, 0.5, arrivals_per_s=10.0).packets_per_s == 5 * SET_UP_PACKETS + 3  # no more arrive than there are


def test_what_is_allowed_passes():
    judge(bench(), [PAIR, Burden("storm", 500, 0.5, arrivals_per_s=10.0)])


@pytest.mark.parametrize(
    ("left_out", "address"),
    [("203.0.113.0/24", "203.0.113.231"), ("192.0.2.0/30", "192.0.2.1"), ("172.16.0.0/20", "172.16.0.1")],
)
def test_an_address_outside_is_refused_with_the_line_that_would_permit_it(left_out, address):
    networks = [one for one in NETWORKS if one != left_out]
    with pytest.raises(UsageError, match=rf"virtual.yaml:17: {address} is in none of the networks.*\n.*add {address}/32 to"):
        judge(bench(networks=networks), [PAIR])


def test_a_rate_beyond_is_refused():
    with pytest.raises(UsageError, match=r":17: demux-pair-2 may send 90 packets a second, and 89 are allowed\n.*: 90 "):
        judge(bench(rate=89), [PAIR])
    judge(bench(rate=90), [PAIR])


def test_a_field_lab_without_an_allowance_is_refused():
    with pytest.raises(UsageError, match="says nowhere what may be sent"):
        judge(replace(bench(), allowance=None), [])


def test_it_tells_what_happens_to_which_device():
    lines = told(bench("linux"), [PAIR, Burden("together", 6, 5.0)])
    text = "\n".join(lines)
    for words in (
        "this machine: lan0 moves into the namespace natstorm-clients as 192.0.2.2/30, with all of 10.0.0.0/24 behind it",
        "nat (ssh to 10.99.0.2:22): logged in, and locked",
        "nat: nftables table ip natstorm is made, settings net/ipv4/ip_forward,",
        "nat: the mappings of 10.0.0.0/24 are forgotten",
        "nat: tcpdump captures the NAT's inside on inside0",
        "gateway (ssh to 10.99.0.3:22): logged in, and locked",
        "gateway: what runs there of xl2tpd, charon, charon-systemd is stopped",
        "IPsec SAs or policies of somebody's, or a pppd, is refused",
        "gateway: rules of iptables (legacy) are added, in chains natstorm-INPUT",
        "/etc/natstorm/demux-setup",
        "/etc/ppp/chap-secrets",
        "packets: at most 270 a second, in together, from 10.0.0.0/24 to 203.0.113.231",
        "packets: 1000 a second are allowed, to 10.0.0.0/20,",
    ):
        assert words in text
    assert "outside on" not in text  # the testbed names no capture there
    assert "natstorm-gateway is started" in "\n".join(told(bench(), []))


JUMP, TAP = Connection("jumpbox", "10.98.0.1"), Connection("tap", "10.99.0.9", jump=Connection("jumpbox", "10.98.0.1"))


@pytest.mark.parametrize("system", ["natstorm", "linux", "ios"])
def test_no_device_that_a_run_takes_is_left_out(system):
    testbed = bench("linux" if system == "linux" else "virtual")
    host = Connection("host", "10.99.0.4", jump=JUMP)
    gateway = replace(testbed.gateway, os=system, end_host_connection=host)
    testbed = replace(testbed, gateway=gateway, nat=replace(testbed.nat, outside_capture=CaptureSource("tcpdump", "eth1", TAP)))
    lines = told(testbed, [PAIR])
    assert [one.device for one in taken_by(testbed)] == ["nat", "gateway", "host", "tap"]
    for one in taken_by(testbed):
        (line,) = [line for line in lines if line.startswith(f"{one.device} (ssh to {one.host}:22): logged in, and locked")]
        there = "running configuration, alias exec natstorm-lock-" if one == testbed.router else "/run/natstorm.lock"
        assert f"here and in its own {there}" in line
    assert "jumpbox (ssh to 10.98.0.1:22): logged in on the way to others, and left as it is" in lines
    assert len([line for line in lines if line.startswith("jumpbox")]) == 1
    assert "tap: tcpdump captures the NAT's outside on eth1" in lines


AT = {"node": "SW", "port": "e0", "interface": "tap0"}


@pytest.mark.parametrize(
    ("provider", "options", "lines"),
    [
        ("gns3", {}, ["opened; closed again at the end where it was closed", "of all its nodes what does not run is started"]),
        ("gns3", {"start": ("R1", "R2")}, ["of R1, R2 what does not run is started, and stopped at the end"]),
        ("gns3", {"template": "T"}, ["where it is not there it is copied from T first, and deleted at the end"]),
        ("gns3", {"clients": AT}, ["a cloud natstorm-tap0 with tap tap0", "linked to SW e0; both are deleted"]),
        ("gns3", {"clients": {**AT, "cloud": "C"}}, ["a link from C tap0 to SW e0 is made, and deleted at the end"]),
        ("eve-ng", {}, ["another session of me ends", "lab p: of all its nodes what does not run is started", "nothing is made,"]),
    ],
)
def test_what_is_done_at_a_server_is_told(provider, options, lines):
    testbed = bench()
    link = CaptureSource("gns3", "e1", NAT)
    lab = LabSpec(provider, "http://lab", "p", "me", None, {**options, "nodes": {"nat": "R9"}})
    found = [
        line.removeprefix("http://lab: ")
        for line in told(replace(testbed, lab=lab, nat=replace(testbed.nat, outside_capture=link)), [PAIR])
        if line.startswith("http://lab: ")
    ]
    for words in lines:
        assert any(words in line for line in found), words
    assert "the link at R9 e1 is captured, for the NAT's outside" in found


def test_it_tells_what_happens_to_a_router(tmp_path, monkeypatch):
    for name in ("known_hosts", "id"):
        (tmp_path / name).write_text("")
    monkeypatch.setenv("NATSTORM_BOX", str(tmp_path))
    known = check(enclosure.ROOT / "testbeds/bench-in-a-box-ios.yaml")
    lines = told(known, [PAIR])
    for line in (
        "gateway: all L2TP tunnels, IPsec SAs and ISAKMP SAs are cleared before and after each scenario",
        "host: tcpdump captures the far end on lan0, into a directory of the run's own",
    ):
        assert line in lines
    (configured,) = [line for line in lines if line.startswith("gateway: its running configuration")]
    assert "NATSTORM" in configured
    assert not any("reload" in line for line in lines)
    protected = replace(known.gateway, connection=replace(known.gateway.connection, protect_minutes=7))
    assert any("`reload in 7` before each change" in line for line in told(replace(known, gateway=protected), [PAIR]))
    alone = replace(known, gateway=replace(known.gateway, end_host=None, end_host_connection=None))
    assert any(line.startswith("host") for line in lines)
    assert not any(line.startswith("host") for line in told(alone, [PAIR]))


def test_of_a_lab_of_its_own_there_is_little_to_tell():
    lines = told(check(enclosure.ROOT / "testbeds/virtual.yaml"), [PAIR])
    assert lines[0] == "this machine: an enclosure with namespaces for clients, NAT and gateway; nobody's device is reached"
    assert lines[1].startswith("packets: at most 90 a second, in demux-pair-2")
    assert len(lines) == 2


def test_a_dry_run_tells_and_does_nothing(tmp_path):
    """Not even a folder for a report; without root, an enclosure or a device to reach."""
    for name in ("known_hosts", "id"):
        (tmp_path / name).write_text("nothing")
        (tmp_path / name).chmod(0o600)
    command = [sys.executable, "-m", "harness.cli"]
    options = ["--testbed", str(enclosure.ROOT / "testbeds/bench-in-a-box.yaml"), "--dry-run"]
    environment = {**os.environ, "NATSTORM_BOX": str(tmp_path)}
    for words in (["qualify", "--reports", str(tmp_path / "reports"), *options], ["storm", "--clients", "25", *options]):
        done = subprocess.run([*command, *words], cwd=enclosure.ROOT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "nic0 moves into the namespace natstorm-clients" in done.stdout
        assert "5000 a second are allowed" in done.stdout
    assert not (tmp_path / "reports").exists()
    crowd = ["qualify", "--clients", "900", *options]
    done = subprocess.run([*command, *crowd], cwd=enclosure.ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "bench-in-a-box.yaml:21: demux-together-900 may send" in done.stdout + done.stderr
