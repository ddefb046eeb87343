"""The configuration of a strongSwan + xl2tpd + pppd gateway: settings in, the text of every file out. Pure.

The variants are rows of `linux/variants.yaml`; the files are the templates beside it, filled in by `string.Template`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from math import log2
from pathlib import Path
from string import Template
from typing import Any

import yaml

from harness.devices import linux_rules
from harness.errors import UsageError
from harness.model import Secret

TEMPLATES = Path(__file__).parent / "linux"
DEMUX_FIRST_PORT = 1024
RULES = "/etc/natstorm/rules"
OWN_FOLDER = "/run/natstorm"
PPPD_OPTIONS = "/etc/ppp/options.xl2tpd"
AUTHENTICATIONS = {
    "mschap-v2": "require-mschap-v2\nrefuse-chap",
    "chap-md5": "require-chap\nrefuse-mschap-v2",
}


@dataclass(frozen=True, slots=True)
class Variant:
    """How the gateway tells clients behind one address apart (`ipsec`) and where its L2TP data runs (`l2tp`)."""

    name: str
    ipsec: str  # "plain", "connmark", "demux"
    l2tp: str  # "kernel", "user"
    title: str
    child: str  # swanctl options of the child that make the difference
    plugins: str
    rules: str  # template of the iptables rules
    remark: str = ""  # what a reader of a report should know of it
    patience_s: float = 20.0  # how long a client may take to come up before a scenario goes on without it


@dataclass(frozen=True, slots=True)
class Timers:
    """Every timer that a scenario may want shorter, in seconds; 0 is never. The defaults are those of a shipped gateway.

    xl2tpd has no timers to set: 1.3.18 has its Hello's 60 s compiled in, and its retransmissions come after 1, 2, 4 … s whatever
    "cap backoff" says. `l2tp_max_retries` of them, 2^n - 1 seconds, end a tunnel.
    """

    dpd_delay: float = 30.0
    dpd_timeout: float = 150.0
    ike_rekey: float = 0.0  # 0: left to the client
    ike_life: float = 28800.0  # the longest the gateway grants
    esp_rekey: float = 0.0
    esp_life: float = 3600.0
    lcp_echo_interval: int = 30
    lcp_echo_failures: int = 4
    ike_retransmit: float = 4.0  # first interval; grows by 1.8
    ike_retransmit_tries: int = 5
    l2tp_max_retries: int = 5

    def scaled(self, factor: float) -> Timers:
        """The same gateway with time running `factor` times as fast. A timer that is on stays on."""
        return replace(
            self,
            dpd_delay=self.dpd_delay / factor,
            dpd_timeout=self.dpd_timeout / factor,
            ike_rekey=self.ike_rekey / factor,
            ike_life=self.ike_life / factor,
            esp_rekey=self.esp_rekey / factor,
            esp_life=self.esp_life / factor,
            lcp_echo_interval=max(1, round(self.lcp_echo_interval / factor)) if self.lcp_echo_interval else 0,
            ike_retransmit=self.ike_retransmit / factor,
            # fewer retries in place of quicker ones, but never so few that a lost datagram or two ends a tunnel
            l2tp_max_retries=max(3, round(log2((2**self.l2tp_max_retries - 1) / factor + 1))),
        )

    def against(self, shipped: Timers) -> tuple[str, ...]:
        """What a report says of scaled timers: one line for each that differs from `shipped`."""
        return tuple(
            f"{name}: {getattr(self, name):g} instead of {getattr(shipped, name):g}"
            for name in self.__dataclass_fields__
            if getattr(self, name) != getattr(shipped, name)
        )


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """Everything the gateway is told. Addresses are dotted quads; `pool` is xl2tpd's "first-last"."""

    variant: str = "plain-kernel"
    address: str = "203.0.113.231"
    interface: str = "vec0"
    psk: Secret = field(default=Secret("sharedsecret"))
    users: Mapping[str, Secret] = field(default_factory=lambda: {f"user{n}": Secret(f"pw{n}") for n in range(1, 101)})
    authentication: str = "mschap-v2"
    ppp_address: str = "172.16.1.1"
    pool: str = "172.16.1.10-172.16.1.200"
    mtu: int = 1280
    ike_proposals: tuple[str, ...] = ()  # empty: those of variants.yaml
    esp_proposals: tuple[str, ...] = ()
    timers: Timers = field(default_factory=Timers)
    shared: bool = False  # the device is somebody's, with things on it that are not this gateway's

    @property
    def logs(self) -> str:
        """The directory of its logs. On somebody's device one that is ours, for theirs may stand in /var/log."""
        return f"{OWN_FOLDER}/log" if self.shared else "/var/log"

    @property
    def ppp_networks(self) -> tuple[str, ...]:
        """The addresses on PPP links, the gateway's own and the pool's, as networks ("172.16.1.1/32")."""
        own = ipaddress.IPv4Address(self.ppp_address)
        first, last = (ipaddress.IPv4Address(end.strip()) for end in self.pool.split("-"))
        pool = ipaddress.summarize_address_range(first, last)
        return tuple(str(n) for n in ipaddress.collapse_addresses([ipaddress.IPv4Network(own), *pool]))


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = yaml.safe_load((TEMPLATES / "variants.yaml").read_text())
    return table


def variants() -> dict[str, Variant]:
    """All variants by name, "plain-kernel" to "demux-user"."""
    table = _table()
    found = {}
    for ipsec, row in table["ipsec"].items():
        for l2tp, title in table["l2tp"].items():
            child = "\n".join(f"{key} = {value}" for key, value in row["child"].items())
            name = f"{ipsec}-{l2tp}"
            known = {key: row[key] for key in ("plugins", "rules", "remark", "patience_s")}
            found[name] = Variant(name, ipsec, l2tp, f"{row['title']}, {title}", child, **known)
    return found


def variant(name: str) -> Variant:
    known = variants()
    if name not in known:
        raise UsageError(f"no gateway variant {name!r}", cure=f"one of {', '.join(known)}")
    return known[name]


def remark(name: str) -> str:
    """What a reader of a report should know of the variant; "" where there is nothing, or where it is no Linux gateway's."""
    known = variants().get(name)
    return "" if known is None else known.remark


def render(settings: GatewaySettings) -> dict[str, str]:
    """Path in the gateway → contents. Files that hold secrets are those of `SECRET_FILES`; all are written 0600."""
    chosen = variant(settings.variant)
    table = _table()
    timers = settings.timers
    if settings.authentication not in AUTHENTICATIONS:
        raise UsageError(f"no PPP authentication {settings.authentication!r}", cure=f"one of {', '.join(AUTHENTICATIONS)}")
    words = {
        "address": settings.address,
        "interface": settings.interface,
        "psk": quoted(settings.psk.reveal()),
        "ike_proposals": ",".join(settings.ike_proposals or table["ike_proposals"]),
        "esp_proposals": ",".join(settings.esp_proposals or table["esp_proposals"]),
        "plugins": f"{table['plugins']} {chosen.plugins}".strip(),
        "child": _indented(chosen.child, 12),
        "dpd_delay": seconds(timers.dpd_delay),
        "dpd_timeout": seconds(timers.dpd_timeout),
        "ike_rekey": seconds(timers.ike_rekey),
        "ike_over": seconds(max(1.0, timers.ike_life - timers.ike_rekey) if timers.ike_rekey else 0),
        "esp_rekey": seconds(timers.esp_rekey),
        "esp_life": seconds(timers.esp_life),
        "retransmit_timeout": f"{timers.ike_retransmit:g}",
        "retransmit_tries": str(timers.ike_retransmit_tries),
        "l2tp_max_retries": str(timers.l2tp_max_retries),
        "userspace": "yes" if chosen.l2tp == "user" else "no",
        "pool": settings.pool,
        "ppp_address": settings.ppp_address,
        "mtu": str(settings.mtu),
        "authentication": AUTHENTICATIONS[settings.authentication],
        "lcp_echo": f"lcp-echo-interval {timers.lcp_echo_interval}\nlcp-echo-failure {timers.lcp_echo_failures}"
        if timers.lcp_echo_interval
        else "lcp-echo-interval 0",
        "users": "".join(f"{quoted(user)} lns {quoted(password.reveal())} *\n" for user, password in settings.users.items()),
        "first_port": str(DEMUX_FIRST_PORT),
        "logs": settings.logs,
    }
    files = {}
    for path, template in {**table["files"], **({} if chosen.ipsec != "demux" else table["demux_files"])}.items():
        files[path] = fill(template, words)
    rules = fill(chosen.rules, words)
    files[RULES] = linux_rules.own_chains(rules) if settings.shared else rules
    return files


def chains(name: str) -> dict[str, tuple[str, ...]]:
    """The chains that the packet rules of that variant are in, by table."""
    return linux_rules.chains(fill(variant(name).rules, {"interface": "any"}))


def files_of(name: str) -> tuple[str, ...]:
    """The paths of the files that a gateway of that variant is given."""
    table = _table()
    more = table["demux_files"] if variant(name).ipsec == "demux" else {}
    return (*table["files"], *more, RULES)


SECRET_FILES = ("/etc/swanctl/swanctl.conf", "/etc/ppp/chap-secrets")


def fill(template: str, words: Mapping[str, str]) -> str:
    """The text of a template in `linux/`, each `@{name}` filled in."""
    return _Placeholders((TEMPLATES / template).read_text()).substitute(words)


class _Placeholders(Template):
    """`@{name}`: the daemons' own files are full of dollars and percents."""

    delimiter = "@"
    idpattern = r"(?!)"  # only the braced form
    braceidpattern = r"[a-z0-9_]+"


def seconds(value: float) -> str:
    """strongSwan counts whole seconds; a timer that is on does not scale down to off."""
    return f"{max(1, round(value)) if value else 0}s"


def quoted(text: str) -> str:
    """A word in double quotes, as swanctl.conf and pppd's secrets files read it."""
    if any(c in text for c in '"\\\n'):
        raise UsageError("a secret or user name with a quote, backslash or line break cannot be written to the gateway's files")
    return f'"{text}"'


def _indented(text: str, columns: int) -> str:
    return text.replace("\n", "\n" + " " * columns)
