"""Our RADIUS cores before FreeRADIUS, which shares no code with them: our client asks its server, its client asks ours."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from harness.errors import LabError, MissingTool, UsageError
from harness.lab import packages
from harness.lab.freeradius import FreeRadius, dictionary, environment, named, parse_detail, quoted
from harness.model import Secret
from harness.virtual.aaa import records
from harness.virtual.aaa.records import Cause, Session, Status, Traffic
from harness.virtual.radius_server import RadiusServer
from harness.wire.ppp.authority import Claim
from harness.wire.ppp.flavour import FLAVOURS, Asked
from harness.wire.radius import RadiusClient, Server
from harness.wire.radius.values import Judged, Noted

sys.path.insert(0, str(Path(__file__).parent))

from radius_wire import ClientWire, own_address

SECRET, USER, PASSWORD = "xyzzy5461", "userSerial10@cisco.com", "it's 100% \\ long enough for two blocks"
METHODS = ["pap", "chap-md5", "mschapv1", "mschapv2"]


def unpacked() -> Path:
    try:
        return packages.radius_directory()
    except MissingTool as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def radius(tmp_path_factory):
    users = {USER: Secret(PASSWORD), "LAB\\user2": Secret("pw2")}
    here, scratch = own_address(), tmp_path_factory.mktemp("radius")
    with FreeRadius(unpacked(), scratch, {"127.0.0.1": Secret(SECRET)}, users, {USER: "172.16.5.5"}, here) as server:
        yield server


@pytest.fixture
def wire():
    made = ClientWire(RadiusClient(random.Random(4).randbytes))
    yield made
    made.close()


def servers(radius, secret=SECRET, **changes):
    return (Server(radius.address, secret.encode(), **{"timeout_s": 15.0, "tries": 1, **changes}),)


def claim(method, user=USER, password=PASSWORD):
    """What a PPP peer with this password says."""
    if method == "pap":
        return Claim("pap", user, 0, b"", password.encode())
    draw, flavour = random.Random(f"{method} {user} {password}"), FLAVOURS[method]
    asked = Asked(7, draw.randbytes(flavour.challenge_size), user, password)
    return Claim(method, user, 7, asked.challenge, flavour.respond(asked, draw.randbytes))


def judged(told):
    return [event for event in told if isinstance(event, Judged)]


def ask(wire, radius, claim, **how):
    wire.core.authenticate(time.monotonic(), servers(radius, **how), claim, records.on_port(3, "10.0.0.13"))
    (event,) = judged(wire.settle(judged))
    return event


@pytest.mark.parametrize("method", METHODS)
def test_freeradius_lets_a_user_in(radius, wire, method):
    asked = claim(method)
    event = ask(wire, radius, asked)
    assert event.decision.good
    assert (event.decision.address, event.decision.accounting) == ("172.16.5.5", (USER.encode(),))
    if method == "mschapv2":  # that it knows the password is proven by its own computation
        question = Asked(asked.identifier, asked.challenge, USER, PASSWORD)
        assert FLAVOURS[method].proven(question, asked.value, event.decision.text) is not None
        other = Asked(asked.identifier, asked.challenge, USER, "another")
        assert FLAVOURS[method].proven(other, asked.value, event.decision.text) is None


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("user", "password"), [(USER, "typo"), ("nobody", PASSWORD)])
def test_freeradius_turns_a_user_away(radius, wire, method, user, password):
    event = ask(wire, radius, claim(method, user, password))
    assert not event.decision.good
    assert event.decision.error == "691"


@pytest.mark.parametrize("method", METHODS)
def test_a_name_with_a_domain(radius, wire, method):
    assert ask(wire, radius, claim(method, "LAB\\user2", "pw2")).decision.good


def test_with_another_secret_nobody_answers(radius, wire):
    """FreeRADIUS says why in its log; we hear nothing, and only that."""
    wire.core.authenticate(time.monotonic(), servers(radius, "guess", timeout_s=0.2), claim("pap"))
    told = wire.settle(lambda told: any(type(event).__name__ == "Unanswered" for event in told))
    assert judged(told) == []
    radius.wait_for("invalid Message-Authenticator!")
    # Of such complaints it makes one a second.
    wire.core.account(time.monotonic(), servers(radius, "guess", timeout_s=0.4, tries=6), [])
    wire.settle(lambda told: any(type(event).__name__ == "Unanswered" for event in told))
    assert "Shared secret is incorrect" in radius.wait_for("invalid Request Authenticator!")


def test_accounting_as_freeradius_reads_it(radius, wire):
    """Its dictionary, not ours, gives each attribute its name and each number its word."""
    traffic = Traffic()
    said = records.of_link(USER, 12, "10.0.0.13", "172.16.5.5", (USER.encode(),), "radius")
    session = Session(0xAB, 100.0, said, lambda: traffic)
    steps = [(Status.START, 100.0, None), (Status.INTERIM, 160.5, None), (Status.STOP, 3700.0, Cause.LOST_CARRIER)]
    for status, now, why in steps:
        wire.core.account(time.monotonic(), servers(radius), records.record(session, status, now, why))
        wire.settle(lambda told: any(isinstance(event, Noted) for event in told))
        traffic.came(1000)
        traffic.went(5 << 32)
    flow = Session(0xAC, 100.0, records.of_flow("10.0.0.13", "10.0.0.12", "lac.example"), Traffic)
    wire.core.account(time.monotonic(), servers(radius), records.record(flow, Status.START, 100.0))
    wire.settle(lambda told: any(isinstance(event, Noted) for event in told))
    found = [one for one in radius.records() if one["Acct-Session-Id"] == ["000000AB"]]
    assert [one["Acct-Status-Type"] for one in found] == [["Start"], ["Interim-Update"], ["Stop"]]
    always = {
        "User-Name": [USER], "NAS-IP-Address": ["10.0.0.13"], "NAS-Port": ["12"], "NAS-Port-Type": ["Virtual"],
        "Service-Type": ["Framed-User"], "Framed-Protocol": ["PPP"], "Framed-IP-Address": ["172.16.5.5"],
        "Acct-Authentic": ["RADIUS"], "Acct-Delay-Time": ["0"], "Class": [f"0x{USER.encode().hex()}"],
    }  # fmt: skip
    for one in found:
        assert always.items() <= one.items()
    assert "Acct-Session-Time" not in found[0]
    counted = ("Acct-Session-Time", "Acct-Input-Octets", "Acct-Output-Octets", "Acct-Input-Packets", "Acct-Output-Packets")
    assert [found[1][name] for name in counted] == [["60"], ["1000"], ["0"], ["1"], ["1"]]
    assert [found[2][name] for name in counted] == [["3600"], ["2000"], ["0"], ["2"], ["2"]]
    assert (found[1]["Acct-Output-Gigawords"], found[2]["Acct-Output-Gigawords"]) == (["5"], ["10"])
    assert "Acct-Input-Gigawords" not in found[2]
    assert found[2]["Acct-Terminate-Cause"] == ["Lost-Carrier"]
    (peer,) = [one for one in radius.records() if one["Acct-Session-Id"] == ["000000AC"]]
    assert peer["Cisco-AVPair"] == ["isakmp-initiator-ip=10.0.0.12", "isakmp-phase1-id=lac.example"]


@pytest.mark.parametrize(("cause", "word"), [
    (Cause.USER_REQUEST, "User-Request"), (Cause.LOST_SERVICE, "Lost-Service"), (Cause.ADMIN_RESET, "Admin-Reset"),
    (Cause.NAS_REQUEST, "NAS-Request"),
])  # fmt: skip
def test_causes_in_freeradius_words(radius, wire, cause, word):
    session = Session(0x100 + cause, 0.0, (), Traffic)
    wire.core.account(time.monotonic(), servers(radius), records.record(session, Status.STOP, 1.0, cause))
    wire.settle(lambda told: any(isinstance(event, Noted) for event in told))
    assert radius.records()[-1]["Acct-Terminate-Cause"] == [word]


# --- its client, our server ---


class OurServer:
    """Our server core behind two sockets, in a thread."""

    def __init__(self, core):
        self.core = core
        self.address = own_address()
        self._over = threading.Event()
        self._sockets = []
        for port in (1645, 1646):
            one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            one.settimeout(0.1)
            one.bind((self.address, port))
            self._sockets.append((port, one))
        self._threads = [threading.Thread(target=self._serve, args=pair, daemon=True) for pair in self._sockets]
        self._lock = threading.Lock()

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join(10)
        for _, one in self._sockets:
            one.close()

    def _serve(self, port, one):
        while not self._over.is_set():
            try:
                data, (address, sport) = one.recvfrom(0xFFFF)
            except TimeoutError:
                continue
            with self._lock:
                self.core.receive(time.monotonic(), address, sport, port, data)
                for out in self.core.take_datagrams():
                    one.sendto(out.payload, (out.address, out.dport))


@pytest.fixture
def ours():
    users = {"user1": Secret("pw1")}
    with OurServer(RadiusServer({"127.0.0.1": Secret(SECRET)}, users, {"user1": "172.16.5.5"})) as made:
        yield made


def radclient(ours, kind, port, *said, secret=SECRET):
    root = unpacked()
    where = [f"{ours.address}:{port}", kind, secret]
    command = [root / "usr/bin/radclient", "-D", dictionary(root), "-x", "-r", "1", "-t", "15", *where]
    done = subprocess.run(
        command, input="\n".join(said) + "\n", capture_output=True, text=True, timeout=60, check=False,
        env=environment(root),
    )  # fmt: skip
    return done.stdout + done.stderr


PROOFS = [("User-Password", "pap"), ("CHAP-Password", "chap-md5"), ("MS-CHAP-Password", "mschapv1")]


@pytest.mark.parametrize(("proof", "method"), PROOFS)
def test_radclient_asks_our_server(ours, proof, method):
    """It checks both authenticators of what comes back, and would call a wrong one by name."""
    address = "Packet-Src-IP-Address = 127.0.0.1"
    said = radclient(ours, "auth", 1645, 'User-Name = "user1"', f'{proof} = "pw1"', "Message-Authenticator = 0x00", address)
    assert "Received Access-Accept" in said, said
    assert "Framed-IP-Address = 172.16.5.5" in said
    assert f"Class = 0x{b'user1'.hex()}" in said
    assert "Message-Authenticator = 0x" in said.partition("Received")[2]
    said = radclient(ours, "auth", 1645, 'User-Name = "user1"', f'{proof} = "typo"', "Message-Authenticator = 0x00", address)
    assert "Received Access-Reject" in said, said
    if method == "mschapv1":
        assert "E=691 R=0" in said
    assert [(asked.method, asked.good) for asked in ours.core.asked] == [(method, True), (method, False)]
    assert ours.core.refused == []


def test_radclient_accounts_to_our_server(ours):
    lines = (
        'User-Name = "user1"', "Acct-Status-Type = Stop", 'Acct-Session-Id = "77"', "Acct-Input-Octets = 1234",
        "Acct-Terminate-Cause = User-Request", "Packet-Src-IP-Address = 127.0.0.1",
    )  # fmt: skip
    said = radclient(ours, "acct", 1646, *lines)
    assert "Received Accounting-Response" in said, said
    (record,) = ours.core.of("user1")
    assert (record.status, record.session, record.number("acct-input-octets")) == ("stop", "77", 1234)
    assert record.number("acct-terminate-cause") == Cause.USER_REQUEST


def test_what_our_server_does_not_believe(ours):
    core = ours.core
    core.receive(0.0, "127.0.0.9", 4000, 1645, b"")
    core.receive(0.0, "127.0.0.1", 4000, 1645, b"\x01\x01")
    core.receive(0.0, "127.0.0.1", 4000, 1646, bytes.fromhex("04010014") + bytes(16))
    assert [why.partition(": ")[2] for why in core.refused] == [
        "radius: a client that is not known",
        "radius: length needs 2 bytes, 0 are left at byte 2",
        "radius: wrong authenticator of an Accounting-Request at byte 4",
    ]


# --- the helper itself ---


def test_one_that_cannot_start_says_why(radius, tmp_path):
    """The address is taken."""
    with pytest.raises(LabError, match="it ended"), FreeRadius(radius.root, tmp_path, {}, {}, address=radius.address):
        pytest.fail("it started")


def test_without_its_program(tmp_path):
    with pytest.raises(LabError, match=r"there is no .*freeradius"), FreeRadius(tmp_path, tmp_path, {}, {}):
        pytest.fail("it started")


def test_secrets_lie_where_nobody_else_reads(radius):
    for name in ("radiusd.conf", "users"):
        assert os.stat(radius.scratch / name).st_mode & 0o077 == 0
    assert PASSWORD not in radius.log
    assert SECRET not in radius.log


def test_quoting():
    assert quoted("it's \\ 100%") == "'it\\'s \\\\ 100%'"
    with pytest.raises(UsageError):
        quoted("two\nlines")
    assert named("LAB\\user2") == "'LAB\\user2'"
    for name in ("two\nlines", "o'neill", "end\\"):
        with pytest.raises(UsageError):
            named(name)


DETAIL = """Mon Nov 30 09:01:26 2026
\tUser-Name = "user1"
\tCisco-AVPair = "a=b"
\tCisco-AVPair = "c = d"
\tAcct-Status-Type = Start

Mon Nov 30 09:01:27 2026
\tUser-Name = "us"""


def test_a_detail_file():
    whole = {"User-Name": ["user1"], "Cisco-AVPair": ["a=b", "c = d"], "Acct-Status-Type": ["Start"]}
    assert parse_detail(DETAIL) == [whole]
    assert parse_detail("") == []


def test_it_ends_with_the_run(radius, tmp_path):
    """Killed, the run takes it along."""
    program = tmp_path / "run.py"
    copy = tmp_path / "scratch"
    copy.mkdir()
    program.write_text(
        "import sys, time\nfrom pathlib import Path\nfrom harness.lab.freeradius import FreeRadius\n"
        f"with FreeRadius(Path({str(radius.root)!r}), Path({str(copy)!r}), {{}}, {{}}, address={radius.address!r}, "
        "access=1912, accounting=1913) as it:\n"
        "    print(it._process.pid, flush=True)\n    time.sleep(60)\n"
    )
    where = {**os.environ, "PYTHONPATH": str(packages.PROJECT)}
    with subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE, text=True, env=where) as run:
        assert run.stdout is not None
        pid = int(run.stdout.readline())
        run.kill()
    end = time.monotonic() + 30
    while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:3]:
        assert time.monotonic() < end
        time.sleep(0.05)
    shutil.rmtree(copy)
