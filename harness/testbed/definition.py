"""What a testbed file may hold, as data: every key, what its value may be, and a sentence about it.

The strict reading, the editors' schema (testbeds/schema.json) and the test of docs/testbeds.md all come from here. What depends on
more than one place of the file is told by the modules `wiring`, `access` and `field`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.model.reach import CAPTURE_KINDS, CLOUD_PORTS, PROTOCOLS, PROVIDERS
from harness.model.router_lab import CARD_OF, ROLES
from harness.model.sites import NAT
from harness.model.testbed import TRANSPORTS, VARIANTS_OF
from harness.testbed import values
from harness.testbed.shape import By, Field, Free, ListOf, MapOf, Others, Section, Value

DEVICES = ("clients", "nat", "gateway")
END_HOST = "host"
"""The device behind a virtual gateway. A Linux gateway answers by itself and has none."""
JUMP = "jump"
"""A device of this type is only on the way to others, or captures for them. Its name is free."""

STARTED = {
    "clients": ("linux",),
    **dict.fromkeys(CARD_OF.values(), ("linux",)),
    "nat": ("linux",),
    "gateway": ("linux", "natstorm", "ios"),
    END_HOST: ("linux",),
}
"""Per device, what its `os` may be where the harness starts it."""
ROUTERS = ("ios", "iosxe")
"""Of Cisco, and one driver for both; they name their interfaces in their own way."""
REACHED = {"nat": ("linux",), "gateway": ("linux", "natstorm", *ROUTERS), END_HOST: ("linux",), JUMP: ("linux",)} | {
    role: ROUTERS for roles in ROLES.values() for role in roles if role != NAT
}
"""The same where it is there already: those for which there is a driver."""
PROTOCOLS_OF = {"linux": ("ssh",), "natstorm": ("ssh",)} | dict.fromkeys(ROUTERS, PROTOCOLS)
"""By `os`, how its driver can reach it."""
PORT_OF = {"ssh": 22, "telnet": 23}

QUAD = r"\d{1,3}(\.\d{1,3}){3}"
COUNT: Mapping[str, Any] = {"type": "integer", "minimum": 1}


def one_of(known: tuple[str, ...]) -> Value:
    return Value(lambda value: values.choice(value, known), {"enum": list(known)})


def personality(known: tuple[str, ...]) -> Value:
    return Value(lambda value: values.personality(value, known), {"enum": list(known)})


TEXT = Value(values.text, {"type": ["string", "integer"], "minLength": 1}, text=True)
SECRET = Value(values.secret, {"type": ["string", "integer"], "minLength": 1}, secret=True, text=True)
NUMBER = Value(values.count, COUNT)
NUMBER_0 = Value(values.number, {"type": "integer", "minimum": 0})
FLAG = Value(values.flag, {"type": "boolean"})
ADDRESS = Value(values.address, {"type": "string", "pattern": f"^{QUAD}$"})
ADDRESS_ON_LINK = Value(values.interface_address, {"type": "string", "pattern": rf"^{QUAD}/\d{{1,2}}$"})
PREFIX = Value(values.prefix, {"type": "string", "pattern": rf"^{QUAD}(/\d{{1,2}})?$"})
ADDRESSES = Value(values.addresses, {"type": "string", "pattern": rf"^{QUAD} *- *{QUAD}$"})
PORTS = Value(values.ports, {"type": "string", "pattern": r"^\d{1,5}-\d{1,5}$"})
PORT = Value(values.port, {"type": "integer", "minimum": 1, "maximum": 65535})
MACHINE = Value(values.machine_address, {"type": "string", "pattern": rf"^({QUAD}|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)$"})
MACHINES_OWN = Value(values.machines_own, {"type": "string", "minLength": 1})
PORT_NAME = Value(values.port_name, {"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9./:_-]{0,63}$"})
URL = Value(values.url, {"type": "string", "pattern": "^https?://[^@]+$"})

LOGIN = Section({
    "username": Field(TEXT, "Who logs in."),
    "password": Field(SECRET, "With what; left out where a key or the user's agent does it."),
}, name="login")  # fmt: skip
ENABLE = Section({"password": Field(SECRET, "What the device asks for after `enable`.", required=True)}, name="enable")
SERVER_LOGIN = Section({
    "username": Field(TEXT, "Who logs in at the server.", required=True),
    "password": Field(SECRET, "With what.", required=True),
}, name="server_login")  # fmt: skip
CREDENTIALS = Section({
    "default": Field(LOGIN, "Who logs in, for all that does not name somebody else."),
    "enable": Field(ENABLE, "The enable password of a router."),
}, name="credentials")  # fmt: skip
CLI = Section({
    "protocol": Field(one_of(PROTOCOLS), "How the command line is reached.", required=True),
    "ip": Field(MACHINE, "The address at which it is reached: of the device, or of a console server.", required=True),
    "port": Field(PORT, "The TCP port (22 for ssh, 23 for telnet)."),
    "proxy": Field(TEXT, "The device of `type: jump` through which it is reached."),
    "own_address": Field(ADDRESS, "A router's own address, where `ip` is another that leads to it, as of a NAT before it."),
    "protect_minutes": Field(NUMBER, "A router reloads after so many minutes if a change has locked everybody out (never)."),
    "old_ssh": Field(FLAG, "true allows a router SSH algorithms that OpenSSH has switched off: IOS 12.x has no others (false)."),
    "credentials": Field(CREDENTIALS, "Who logs in over this connection."),
}, name="cli")  # fmt: skip
REACHED_BY = "How it is reached, where it is there already; `{}` for a device that the harness starts."

KEY_FILE = Field(TEXT, "A file with the private key to log in with; a relative name counts from the testbed file.")
CAPTURE = Section({
    "source": Field(one_of(CAPTURE_KINDS), "tcpdump on a device, a network card of this machine, or a GNS3 link.", required=True),
    "device": Field(TEXT, "The device that captures, or at which the GNS3 link ends (the NAT)."),
    "interface": Field(PORT_NAME, "The interface there (the NAT's own on that side)."),
}, name="capture")  # fmt: skip
CAPTURES = Section({
    "inside": Field(CAPTURE, "The side of the clients.", required=True),
    "outside": Field(CAPTURE, "The side of the gateway.", required=True),
})  # fmt: skip

NODES = Field(MapOf(TEXT), "A device's node, where it has another name there than the device has here.")
CA_FILE = Field(TEXT, "The certificate of the server's authority; a relative name counts from the testbed file.")
START = Field(ListOf(TEXT), "The nodes to start, by their names there (all).")
CLIENTS_AT = Section({
    "node": Field(TEXT, "The node of the project that they are attached to, by its name there.", required=True),
    "port": Field(PORT_NAME, "The port of that node, as GNS3 calls it.", required=True),
    "interface": Field(PORT_NAME, "Of the server's machine, what leads to the clients; or the port of `cloud`.", required=True),
    "kind": Field(one_of(CLOUD_PORTS), "What that interface is (tap)."),
    "cloud": Field(TEXT, "The project's own cloud node that has it; left out: one is made, and goes again."),
})  # fmt: skip
OPTIONS = {
    "gns3": Section({
        "nodes": NODES,
        "ca_file": CA_FILE,
        "start": START,
        "file": Field(TEXT, "Where there is no such project: a .gns3project file to make it of; relative to the testbed file."),
        "template": Field(TEXT, "Where there is no such project: the project to copy it from."),
        "clients": Field(CLIENTS_AT, "Where the clients' segment is attached while the lab is up; left out: the project has it."),
    }),
    "eve-ng": Section({
        "nodes": NODES,
        "ca_file": CA_FILE,
        "start": START,
        "verify": Field(FLAG, "false trusts any certificate: on a network of your own (true)."),
        "edition": Field(one_of(("community", "pro")), "Which EVE-NG it is; Pro speaks https alone."),
        "clients": Field(TEXT, "The host's bridge that leads to the clients, as in pnet1; the lab must have a node on it."),
        "tenant": Field(NUMBER_0, "The number in the names of the host's interfaces, where it is not the user's own."),
        "host": Field(TEXT, "The device of `type: jump` that is EVE-NG's own host: where links of running nodes are cut."),
    }),
}  # fmt: skip
"""By the lab's provider, what may stand below `options`."""
LAB = Section({
    "provider": Field(one_of(PROVIDERS), "Who brings the lab up.", required=True),
    "url": Field(URL, "Where the server is."),
    "project": Field(TEXT, "The project's name, or the lab file's path on the server."),
    "options": Field(By("provider", OPTIONS, Section({})), "What else that provider can be told."),
})  # fmt: skip

ALLOW = Section({
    "networks": Field(ListOf(PREFIX), "Nothing is sent to an address outside these networks.", required=True),
    "packets_per_s": Field(NUMBER, "Nor are more packets sent in one second, in all.", required=True),
})  # fmt: skip
TESTBED_CUSTOM = Section({
    "known_hosts": Field(TEXT, "The file in which the devices' host keys stand; relative to the testbed file (the user's own)."),
    "key_file": KEY_FILE,
    "allow": Field(ALLOW, "What may be sent, and where. Required where a device is reached."),
    "management": Field(ListOf(MACHINES_OWN), "Interfaces of this machine, or their addresses, that must never be moved."),
    "lab": Field(LAB, "Who brings the lab up. Left out: the harness itself, or nobody where the devices are there already."),
})  # fmt: skip
TESTBED = Section({
    "name": Field(TEXT, "What reports call it (the file's name)."),
    "alias": Field(TEXT, "Another name, for other readers of the file."),
    "credentials": Field(
        Section({
            **CREDENTIALS.fields,
            "gns3": Field(SERVER_LOGIN, "Who logs in at the GNS3 server."),
            "eve-ng": Field(SERVER_LOGIN, "Who logs in at the EVE-NG server."),
        }),
        "Who logs in, for every device that does not say it itself.",
    ),
    "custom": Field(TESTBED_CUSTOM, "What is natstorm's own."),
})  # fmt: skip

CUSTOM_OF: Mapping[str, Section] = {
    "clients": Section({
        "prefix": Field(PREFIX, "Any address of it is a client's. It is routed to the clients through their link.", required=True),
        "first": Field(ADDRESS, "Client 1; client 2 is the next address, and so on.", required=True),
        "psk": Field(SECRET, "The pre-shared key of all.", required=True),
        "user": Field(TEXT, "PPP user name; `{number}` is the client's number.", required=True),
        "password": Field(SECRET, "PPP password; `{number}` is the client's number.", required=True),
        "personality": Field(personality(values.client_personalities()), "Which build they play (windows7)."),
    }),
    "nat": Section({
        "outside_ports": Field(PORTS, "The outside ports that it maps to (1024-65535)."),
        "udp_timeout_s": Field(NUMBER, "How long a UDP mapping lives before an answer was seen (30)."),
        "udp_stream_timeout_s": Field(NUMBER, "How long it lives once one was (120)."),
        "personality": Field(personality(values.nat_personalities()), "What the userland NAT plays (the kernel's own NAT)."),
        "capture": Field(CAPTURES, "Where both sides of a NAT that is reached can be captured."),
        "key_file": KEY_FILE,
    }),
    "gateway": Section({
        "transport": Field(one_of(TRANSPORTS), "How the Linux guest is attached (auto)."),
        "ppp_address": Field(ADDRESS, "The gateway's address in every tunnel.", required=True),
        "ppp_pool": Field(ADDRESSES, "First and last address that it gives to clients.", required=True),
        "users": Field(NUMBER, "How many of the clients' users it knows, from number 1 on (100)."),
        "key_file": KEY_FILE,
    }),
    END_HOST: Section({"key_file": KEY_FILE}),
    JUMP: Section({"key_file": KEY_FILE}),
}  # fmt: skip
"""Per device, what may stand below its `custom`; of the gateway without its variants, which are its system's."""
VARIANTS = "The configurations in which it is judged; the first is the default."


def _gateway_custom() -> By:
    fields = CUSTOM_OF["gateway"].fields

    def having(variant: Value) -> Section:
        return Section({"variants": Field(ListOf(variant), VARIANTS, required=True), **fields})

    return By("os", {system: having(one_of(names)) for system, names in VARIANTS_OF.items()}, having(TEXT))


def device(role: str, about: str) -> Section:
    """`about` tells of the connection."""
    custom: By | Section = _gateway_custom() if role == "gateway" else CUSTOM_OF[role]
    systems = tuple(dict.fromkeys((*STARTED.get(role, ()), *REACHED.get(role, ()))))
    # Whether a system will do depends on whether the device is reached: `access` says so, in better words.
    system = Value(values.text, {"enum": list(systems)})
    connection = Section({} if role == "clients" else {"cli": Field(CLI, "Its command line.", required=role == JUMP)})
    credentials = {"credentials": Field(CREDENTIALS, "Who logs in at this device.")}
    return Section({
        "type": Field(one_of((role,)), "What it is in the lab.", required=True),
        "os": Field(system, "What runs on it: the choice of the driver.", required=True),
        "alias": Field(TEXT, "Another name, for other readers of the file."),
        "connections": Field(connection, about, required=True),
        **({} if role == "clients" else credentials),
        "custom": Field(custom, "What is natstorm's own.", required=isinstance(custom, By) or bool(custom.required)),
    })  # fmt: skip


INTERFACE = Section({
    "type": Field(TEXT, "`ethernet`.", required=True),
    "link": Field(TEXT, "The wire it is on; what is on one wire names the same link.", required=True),
    "ipv4": Field(ADDRESS_ON_LINK, "Its address, with prefix length.", required=True),
    "alias": Field(TEXT, "Another name, for other readers of the file."),
}, name="interface")  # fmt: skip
INTERFACES = Section(
    {"interfaces": Field(MapOf(INTERFACE), "By the names that they have on the device.", required=True)}, name="attached"
)

FILE = Section({
    "testbed": Field(TESTBED, "About the lab as a whole."),
    "devices": Field(
        Section(
            {
                "clients": Field(device("clients", "`{}`: the clients run on this machine."), "All clients.", required=True),
                "nat": Field(device("nat", REACHED_BY), "The NAT that all of them are behind.", required=True),
                "gateway": Field(device("gateway", REACHED_BY), "The gateway that is judged.", required=True),
                END_HOST: Field(device(END_HOST, REACHED_BY), "The machine behind a virtual gateway."),
            },
            Others("type", JUMP, device(JUMP, "How it is reached.")),
        ),
        "Who takes part.",
        required=True,
    ),
    "topology": Field(
        Section({
            **{one: Field(INTERFACES, f"Where {one} is attached.", required=True) for one in DEVICES},
            END_HOST: Field(INTERFACES, "Where the end host is attached."),
            "links": Field(Free(), "pyATS's own section; not looked at."),
        }),
        "How they are wired.",
        required=True,
    ),
})  # fmt: skip
