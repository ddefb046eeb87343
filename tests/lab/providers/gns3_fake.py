"""A GNS3 server as its documentation has it, as far as the client goes, in a thread: it records what it is asked, can be unwell.

Nodes start here, links carry "packets", and captures stream: what a server without emulators cannot do.
"""

import base64
import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

PCAP_HEADER = bytes.fromhex("d4c3b2a1 0200 0400 00000000 00000000 00000400 01000000".replace(" ", ""))
TEMPLATES = [
    {"template_id": "t-vpcs", "name": "VPCS", "template_type": "vpcs", "compute_id": None},
    {"template_id": "t-c7200", "name": "c7200", "template_type": "dynamips", "compute_id": "local"},
]


class Fake:
    """`unwell` maps a node's name to how often its start fails (-1: always; "mute": it is accepted, and nothing happens), and "stop
    NAME" likewise; `lingers` one to how often it is seen running after its stop."""

    def __init__(self, api=3, version=None, user="admin", password="s3cret"):
        self.api, self.user, self.password = api, user, password
        self.version = version or ("3.0.6" if api == 3 else "2.2.61")
        self.projects, self.nodes, self.links = {}, {}, {}
        self.asked, self.unwell, self.tokens, self.logins = [], {}, set(), 0
        self.lingers = {}
        self.packets = [b"one", b"two"]
        self.silent = threading.Event()
        self.dies_at = self.refuses = None
        self._count = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self):
        self.silent.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def identity(self, kind):
        self._count += 1
        return f"{kind}-{self._count}"

    def add_project(self, name, status="opened", identity=None):
        project = {"project_id": identity or self.identity("project"), "name": name, "status": status}
        self.projects[project["project_id"]] = project
        return project

    def add_node(self, project, name, kind="qemu", status="stopped", console_type="telnet", identity=None, ports=2):
        node = {
            "node_id": identity or self.identity("node"), "project_id": project["project_id"], "name": name, "node_type": kind,
            "status": status, "console": 5000 + len(self.nodes), "console_type": console_type, "console_host": "0.0.0.0",
            "ports": [
                {"name": f"Ethernet{n}", "short_name": f"e{n}", "adapter_number": n, "port_number": 0} for n in range(ports)
            ],
        }  # fmt: skip
        self.nodes[node["node_id"]] = node
        return node

    def add_link(self, project, *ends, **more):
        link = {
            "link_id": self.identity("link"), "project_id": project["project_id"],
            "suspend": False, "filters": {}, "capturing": False,
            "nodes": [{"node_id": node["node_id"], "adapter_number": adapter, "port_number": 0} for node, adapter in ends],
        } | more  # fmt: skip
        self.links[link["link_id"]] = link
        return link

    def did(self, *methods):
        """What was asked of it with these methods, without the API's prefix."""
        return [f"{method} {path[3:]}" for method, path, _ in self.asked if method in (methods or ("POST", "PUT", "DELETE"))]


@contextmanager
def fake(**options):
    one = Fake(**options)
    try:
        yield one
    finally:
        one.close()


class Answer(Exception):
    def __init__(self, status, body=None):
        super().__init__(status)
        self.status = status
        self.body = {"message": body} if isinstance(body, str) else body


def handler(server):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self):
            address = urlsplit(self.path)
            raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            try:
                body = json.loads(raw) if raw else {}
            except ValueError:
                body = raw
            server.asked.append((self.command, address.path, body))
            if server.dies_at and re.search(server.dies_at, f"{self.command} {address.path}"):
                server._server.socket.close()
                self.close_connection = True
                return
            try:
                if server.refuses and re.search(server.refuses, f"{self.command} {address.path}"):
                    raise Answer(409, "not now")
                status, found = 200, route(server, self, self.command, address.path, body, parse_qs(address.query))
                if found is None:
                    return
                if isinstance(found, int):
                    status, found = found, None
                elif isinstance(found, tuple):
                    status, found = found
            except Answer as refusal:
                status, found = refusal.status, refusal.body
            content = b"" if found is None else json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815

        def log_message(self, *_):
            pass

        def stream_capture(self):
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for piece in [PCAP_HEADER, *server.packets]:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                self.wfile.flush()
            server.silent.wait(60)
            self.close_connection = True

    return Handler


def authorise(server, headers):
    given = headers.get("Authorization", "")
    if server.api == 3:
        if given.removeprefix("Bearer ") not in server.tokens:
            raise Answer(401, "Could not validate token")
    elif server.user and given != "Basic " + base64.b64encode(f"{server.user}:{server.password}".encode()).decode():
        raise Answer(401)


def route(server, request, method, path, body, query):
    prefix = f"/v{server.api}"
    if not path.startswith(prefix + "/"):
        raise Answer(404, "Not Found")
    path = path.removeprefix(prefix)
    if path == "/access/users/authenticate" and server.api == 3:
        if (body["username"], body["password"]) != (server.user, server.password):
            raise Answer(401, f"Authentication of {body} was unsuccessful.")
        server.logins += 1
        server.tokens = {f"token-{server.logins}"}
        return {"access_token": f"token-{server.logins}", "token_type": "bearer"}
    if not (path == "/version" and server.api == 3):
        authorise(server, request.headers)
    if path == "/version":
        return {"version": server.version, "local": True}
    if path == "/templates":
        return TEMPLATES
    parts = path.strip("/").split("/")
    if parts[0] != "projects":
        raise Answer(404, "Not Found")
    if len(parts) == 1:
        if method == "GET":
            return list(server.projects.values())
        if any(one["name"] == body["name"] for one in server.projects.values()):
            raise Answer(409, f'Project "{body["name"]}" already exists')
        return 201, server.add_project(body["name"], identity=body.get("project_id"))
    if parts[2:] == ["import"]:
        return 201, server.add_project(query["name"][0], "closed", parts[1])
    project = server.projects.get(parts[1])
    if project is None:
        raise Answer(404, f"Project ID {parts[1]} doesn't exist")
    return in_project(server, request, method, project, parts[2:], body)


def in_project(server, request, method, project, parts, body):
    if not parts:
        if method == "DELETE":
            identity = project["project_id"]
            server.projects.pop(identity)
            for table in (server.nodes, server.links):
                for key in [key for key, one in table.items() if one["project_id"] == identity]:
                    del table[key]
            return 204
        return project
    if parts[0] in ("open", "close"):
        project["status"] = {"open": "opened", "close": "closed"}[parts[0]]
        return (201, project) if parts[0] == "open" else 204
    if parts[0] == "duplicate":
        return 201, server.add_project(body["name"], "closed")
    if parts[0] == "templates":
        template = next(one for one in TEMPLATES if one["template_id"] == parts[1])
        if not body.get("compute_id"):
            raise Answer(404, "Compute ID None doesn't exist")
        return 201, server.add_node(project, "PC1", template["template_type"])
    table = server.nodes if parts[0] == "nodes" else server.links
    if len(parts) == 1:
        if method == "GET":
            return [one for one in table.values() if one["project_id"] == project["project_id"]]
        return 201, create(server, project, parts[0], body)
    one = table.get(parts[1])
    if one is None:
        raise Answer(404, f"{parts[0]} ID {parts[1]} doesn't exist")
    if project["status"] != "opened":
        raise Answer(403, "The project is not opened")
    if len(parts) == 2:
        if method == "DELETE":
            del table[parts[1]]
            return 204
        one.update(body)
        seen = dict(one)
        if one.get("stopping"):
            one["stopping"] -= 1
            one["status"] = "started" if one["stopping"] else "stopped"
        return seen
    return act(server, request, one, "/".join(parts[2:]))


def create(server, project, kind, body):
    if kind == "nodes":
        node = server.add_node(project, body["name"], body["node_type"], identity=body["node_id"])
        node["properties"] = body["properties"]
        if mapped := body["properties"].get("ports_mapping"):
            node["ports"] = [{"name": row["name"], "adapter_number": 0, "port_number": row["port_number"]} for row in mapped]
            node["status"], node["console_type"] = "started", "none"
        return node
    ends = [(server.nodes[end["node_id"]], end["adapter_number"]) for end in body["nodes"]]
    return server.add_link(project, *ends)


def act(server, request, one, what):
    start, stop, stream = (
        ("capture/start", "capture/stop", "capture/stream") if server.api == 3 else ("start_capture", "stop_capture", "pcap")
    )
    if what == "start":
        left = server.unwell.get(one["name"], 0)
        if left == "mute":
            return 204
        if left:
            server.unwell[one["name"]] = left - 1
            raise Answer(409, f"Could not start {one['name']}: no free memory")
        one["status"] = "started"
        return 204
    if what == "stop":
        left = server.unwell.get(f"stop {one['name']}", 0)
        if left == "mute":
            return 204
        if left:
            server.unwell[f"stop {one['name']}"] = left - 1
            raise Answer(409, f"Could not stop {one['name']}: busy")
        if left := server.lingers.get(one["name"], 0):
            one["stopping"] = left
        else:
            one["status"] = "stopped"
        return 204
    if what == "available_filters":
        return [{"type": kind} for kind in ("frequency_drop", "packet_loss", "delay", "corrupt", "bpf")]
    if what == start:
        one["capturing"] = True
        return 201, one
    if what == stop:
        one["capturing"] = False
        server.silent.set()
        return 204
    if what == stream:
        if not one["capturing"]:
            raise Answer(409, "This link has no active packet capture")
        return request.stream_capture()
    raise Answer(404, "Not Found")
