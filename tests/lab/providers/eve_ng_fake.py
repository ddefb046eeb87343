"""An EVE-NG on loopback that behaves as documented, and keeps every request: a real HTTP server, Community or Pro (TLS).

One session a user; JSend; 412 where the session is over (Pro: a bare 400); states that take some polls; PHP's habit of making lists
of arrays whose keys are 0, 1, 2, … and of empty ones. Any request, by its position, can be made to fail in each way of FAULTS.
"""

from __future__ import annotations

import datetime
import ipaddress
import json
import re
import ssl
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

COMMUNITY, PRO = "6.2.0-4", "6.2.0-24-PRO"
USER, PASSWORD = "natstorm", "a planted secret"
LAB = "/Interop tests/L2TP one.unl"
NAT, GATEWAY, HOST, MONITOR = 1, 2, 3, 4
FAULTS = ("cut before", "cut after", "page before", "page after", "session over", "session over, bare 400")
"""The connection is cut, or PHP's error page comes, before or after the request is carried out; the session ends before it."""


@dataclass
class Node:
    name: str
    kind: str
    interfaces: dict[int, str]
    on: dict[int, int]
    status: int = 0
    polls_left: int = 0
    becomes: int | None = None


def _networks() -> dict[int, dict[str, Any]]:
    return {
        1: {"id": 1, "name": "to the clients", "type": "pnet1", "visibility": 1},
        2: {"id": 2, "name": "Net-NATiface_16", "type": "bridge", "visibility": 0},
        3: {"id": 3, "name": "lan", "type": "bridge", "visibility": 1},
        7: {"id": 7, "name": "Net", "type": "pnet0", "visibility": 1},
    }


def _nodes() -> dict[int, Node]:
    return {
        NAT: Node("NAT", "iol", {0: "e0/0", 16: "e0/1", 32: "e0/2"}, {0: 1, 16: 2, 32: 0}),
        GATEWAY: Node("gateway", "qemu", {0: "Gi0/0", 1: "Gi0/1"}, {0: 2, 1: 3}),
        HOST: Node("host", "docker", {0: "eth0"}, {0: 3}),
        # somebody else's, who has it running
        MONITOR: Node("monitor", "qemu", {0: "eth0", 1: "eth1"}, {0: 3, 1: 7}, status=2),
    }


@dataclass
class FakeEveNg:
    version: str = COMMUNITY
    url: str = ""
    nodes: dict[int, Node] = field(default_factory=_nodes)
    networks: dict[int, dict[str, Any]] = field(default_factory=_networks)
    folders: dict[str, list[str]] = field(
        default_factory=lambda: {"/": [], "/Interop tests": [LAB, "/Interop tests/Other.unl"], "/Empty": []}
    )
    polls: int = 2
    """How many listings of the nodes a start or stop takes."""
    refuses: dict[int, str] = field(default_factory=dict)
    """EVE-NG's words against starting a node."""
    deaths: dict[int, int] = field(default_factory=dict)
    """So many times a node dies as it boots."""
    stuck: set[int] = field(default_factory=set)
    """Nodes that neither come up nor go down."""
    deaf: bool = False
    """Says that it has rewired an interface, and has not."""
    greedy: bool = False
    """Another program logs in as the same user whenever we have."""
    html5_only: bool = False
    role: str = "admin"
    faults: dict[int, str] = field(default_factory=dict)
    gone_from: int | None = None
    requests: list[tuple[str, str, Any]] = field(default_factory=list)
    host_commands: list[str] = field(default_factory=list)
    taps_down: set[str] = field(default_factory=set)
    session: str | None = None
    native: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def pro(self) -> bool:
        return "PRO" in self.version

    def state(self) -> object:
        """What has to be as before: which nodes run, what each interface is on, the networks, the host's interfaces."""
        with self.lock:
            running = {number: node.status == 2 and node.becomes is None for number, node in self.nodes.items()}
            wiring = {number: dict(node.on) for number, node in self.nodes.items()}
            return running, wiring, dict(self.networks), set(self.taps_down)

    def asked(self, pattern: str) -> list[tuple[str, str, Any]]:
        """The requests whose "METHOD /path" has the pattern in it."""
        return [one for one in self.requests if re.search(pattern, f"{one[0]} {one[1]}")]

    def forget_session(self) -> None:
        with self.lock:
            self.session = None

    def on_host(self, command: str) -> str:
        self.host_commands.append(command)
        found = re.fullmatch(r"ip link set dev (vunl|vnet)0_(\d+)_(\d+) (up|down)", command)
        assert found, command
        assert self.nodes[int(found[2])].status != 0, f"{command}: no such device"
        device = f"{found[1]}0_{found[2]}_{found[3]}"
        if found[4] == "down":
            self.taps_down.add(device)
        else:
            self.taps_down.discard(device)
        return ""

    # -- one request

    def answer(self, method: str, path: str, body: Any, cookie: str | None) -> tuple[str, int, dict[str, Any] | None, str | None]:
        """(what becomes of the connection, HTTP status, JSON or None for a page, cookie to set)."""
        with self.lock:
            position = len(self.requests)
            shown = {**body, "password": "…"} if isinstance(body, dict) and "password" in body else body
            self.requests.append((method, path, shown))
            fault = self.faults.get(position, "")
            if self.gone_from is not None and position >= self.gone_from:
                fault = "cut before"
            if fault == "cut before":
                return "cut", 0, None, None
            if fault == "page before":
                return "page", 500, None, None
            if fault.startswith("session over") and path != "/api/auth/login":
                self.session = None
                if "bare" in fault:
                    return "json", 400, {"code": 60027, "status": "fail", "message": "Request not valid (60027)."}, None
            code, reply, fresh = self._carry_out(method, path, body, cookie)
            if fault == "cut after":
                return "cut", 0, None, None
            if fault == "page after":
                return "page", 500, None, None
            return "json", code, reply, fresh

    def _carry_out(self, method: str, path: str, body: Any, cookie: str | None) -> tuple[int, dict[str, Any], str | None]:
        if (method, path) == ("POST", "/api/auth/login"):
            return self._log_in(body)
        if path == "/api/auth/logout":
            if cookie is not None and cookie == self.session:
                self.session = None
            return (*_jsend(200, "User logged out (90019)."), None)
        if self.session is None or cookie != self.session:
            if self.pro:
                return 400, {"code": 60027, "status": "fail", "message": "Request not valid (60027)."}, None
            message = "User is not authenticated or session timed out (90001)."
            code = 401 if path == "/api/auth" else 412
            return code, {"code": code, "status": "unauthorized", "message": message}, None
        code, reply = self._object(method, path, body)
        if self.greedy:
            self.session = "somebody else's"
        return code, reply, None

    def _log_in(self, body: Any) -> tuple[int, dict[str, Any], str | None]:
        self.session = None  # even where the password is wrong
        if self.pro and "html5" not in body:
            return (*_jsend(400, "html5 is missing.", status="fail"), None)
        if (body.get("username"), body.get("password")) != (USER, PASSWORD):
            # as unkind as a server can be: it repeats what it was sent
            return (*_jsend(400, f"Authentication failed: {body.get('password')} is wrong (90014).", status="fail"), None)
        self.native = body.get("html5") == "-1" and not self.html5_only
        self.session = str(uuid.UUID(int=len(self.requests)))
        return (*_jsend(200, "User logged in (90013)."), self.session)

    def _object(self, method: str, path: str, body: Any) -> tuple[int, dict[str, Any]]:
        path = unquote(path.removeprefix("/api"))
        if path == "/status":
            return _jsend(200, "Fetched system status (60001).", {"version": self.version, "cpu": 0, "mem": 3})
        if path == "/auth":
            return _jsend(200, "User has been loaded (90002).", {"username": USER, "tenant": "0", "role": self.role})
        if path.startswith("/folders"):
            return self._folder(path.removeprefix("/folders"))
        if not path.startswith(f"/labs{LAB}"):
            return _jsend(404, "Lab does not exist (60000).", status="fail")
        if method == "PUT" and self.role == "user":
            return 401, {"code": 401, "status": "forbidden", "message": "User cannot do that (90032)."}
        rest = path.removeprefix(f"/labs{LAB}")
        if rest == "":
            return _jsend(200, "Lab has been loaded (60020).", {"name": "L2TP one", "id": "d34628dd"})
        if rest == "/networks":
            return _jsend(200, "Successfully listed networks (60004).", _php(self.networks))
        if rest == "/nodes":
            self._poll()
            return _jsend(200, "Successfully listed nodes (60026).", _php({n: self._node(n) for n in self.nodes}))
        found = re.fullmatch(r"/nodes/(\d+)/(interfaces|start|stop(?:/stopmode=3)?)", rest)
        if found is None or int(found[1]) not in self.nodes:
            return _jsend(400, "Request not valid (60027).", status="fail")
        node = self.nodes[int(found[1])]
        if found[2] == "interfaces" and method == "GET":
            rows = {n: {"name": name, "network_id": node.on[n]} for n, name in node.interfaces.items()}
            return _jsend(200, "Successfully listed node interfaces (60030).", {"id": 1, "ethernet": _php(rows), "serial": []})
        if found[2] == "interfaces":
            return self._attach(node, body)
        return self._start(int(found[1]), node) if found[2] == "start" else self._stop(int(found[1]), node)

    def _folder(self, folder: str) -> tuple[int, dict[str, Any]]:
        if folder not in self.folders:
            return _jsend(404, "Requested folder does not exist (60008).", status="fail")
        labs = [{"file": one.rsplit("/", 1)[-1], "path": one} for one in self.folders[folder]]
        below = [{"name": one[1:], "path": one} for one in self.folders if folder == "/" and one != "/"]
        return _jsend(200, "Successfully listed path (60007).", {"folders": [{"name": "..", "path": "/"}, *below], "labs": labs})

    def _attach(self, node: Node, body: dict[str, str]) -> tuple[int, dict[str, Any]]:
        for interface, network in body.items():
            if network != "" and int(network) not in self.networks:
                return _jsend(400, "Cannot link node, invalid network_id (20033).", status="fail")
            if not self.deaf:
                node.on[int(interface)] = int(network or 0)
        return _jsend(201, "Lab has been saved (60023).")

    def _start(self, number: int, node: Node) -> tuple[int, dict[str, Any]]:
        if number in self.refuses:
            return _jsend(400, self.refuses[number], status="fail")
        if node.status == 0:
            node.status, node.polls_left, node.becomes = 1, self.polls, 2
            if self.deaths.get(number, 0) > 0:
                self.deaths[number] -= 1
                node.becomes = 0
        return _jsend(200, "Node started (80049).")

    def _stop(self, number: int, node: Node) -> tuple[int, dict[str, Any]]:
        if node.status != 0:
            node.polls_left, node.becomes = self.polls, 0
        return _jsend(200, "Node stopped (80051).")

    def _poll(self) -> None:
        for number, node in self.nodes.items():
            if node.becomes is None or number in self.stuck:
                continue
            if node.polls_left == 0:
                node.status, node.becomes = node.becomes, None
                if node.status == 0:  # its taps go with it
                    self.taps_down = {one for one in self.taps_down if one.split("_")[1] != str(number)}
            else:
                node.polls_left -= 1

    def _node(self, number: int) -> dict[str, Any]:
        node = self.nodes[number]
        host = self.url.split("//")[1].split(":")[0]
        url = f"telnet://{host}:{32768 + number}" if self.native else "/html5/#/client/MzI3NjkAYwBteXNxbA==?token=0"
        return {
            "id": number, "name": node.name, "type": node.kind, "template": node.kind, "image": f"{node.kind}.bin",
            "status": node.status, "url": url, "console": "telnet", "ethernet": len(node.interfaces),
        }  # fmt: skip


def _jsend(code: int, message: str, data: object = None, *, status: str = "success") -> tuple[int, dict[str, Any]]:
    reply: dict[str, Any] = {"code": code, "status": status, "message": message}
    return code, reply if data is None else {**reply, "data": data}


def _php(rows: dict[int, Any]) -> object:
    """json_encode: an array whose keys are 0, 1, 2, … is a list, and so is an empty one."""
    return list(rows.values()) if list(rows) == list(range(len(rows))) else {str(key): value for key, value in rows.items()}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body in one segment
    fake: FakeEveNg

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        cookie = re.search(r"unetlab_session=([^;]+)", self.headers.get("Cookie", ""))
        parsed = json.loads(body) if body else None
        becomes, code, reply, fresh = self.fake.answer(self.command, self.path, parsed, cookie and cookie[1])
        if becomes == "cut":
            self.close_connection = True
            return
        text = json.dumps(reply).encode() if reply is not None else b"<html><h1>Slim Application Error</h1></html>"
        self.send_response(code)
        self.send_header("Content-Type", "application/json" if reply is not None else "text/html")
        self.send_header("Content-Length", str(len(text)))
        if fresh is not None:  # with the server's name as its Domain, which a cookie jar refuses where that has no dot
            name = self.headers["Host"].split(":")[0]
            where = f"domain={name}; path=/api/; expires=Sat, 12-Feb-3600 05:59:11 UTC"
            self.send_header("Set-Cookie", f"unetlab_session={fresh}; {where}")
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_DELETE = _any  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that refuses the certificate hangs up in the middle of TLS: that is its right."""


@contextmanager
def serving(fake: FakeEveNg, certificate: Path | None = None) -> Iterator[FakeEveNg]:
    """Serves it on loopback, with TLS where `certificate` (with its key) is given."""
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"fake": fake}))
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        # the handshake belongs into the connection's own thread: a client that hangs must not hold up the others
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    fake.url = f"http{'s' if certificate else ''}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join(15)


def self_signed(folder: Path) -> Path:
    """A PEM file with a certificate for 127.0.0.1, signed by itself, and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "eve-ng")])
    now = datetime.datetime.now(datetime.UTC)
    usage = {
        "digital_signature": True, "content_commitment": False, "key_encipherment": False, "data_encipherment": False,
        "key_agreement": False, "key_cert_sign": True, "crl_sign": False, "encipher_only": False, "decipher_only": False,
    }  # fmt: skip
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(**usage), critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "eve.pem"
    pem, plain = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    file.write_bytes(certificate.public_bytes(pem) + key.private_bytes(pem, plain, serialization.NoEncryption()))
    return file
