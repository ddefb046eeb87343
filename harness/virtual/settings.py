"""What a virtual gateway is told: its personality, a YAML file read strictly, and what the testbed says of this one.

A personality decides behaviour: proposals, timers, whether clients are told apart by translated ports. The testbed decides names:
addresses, secrets, users.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

from harness import strict_yaml
from harness.errors import UsageError
from harness.model import Secret
from harness.strict_yaml import At
from harness.virtual.aaa.settings import Aaa
from harness.virtual.vpdn.groups import Vpdn
from harness.wire.config import EspProposal, IkeProposal
from harness.wire.retransmit import Schedule

FOLDER = Path(__file__).parent / "personalities"

ENCRYPTIONS = ("aes-256", "aes-192", "aes-128", "3des", "des")
HASHES = ("sha1", "sha256", "md5")
GROUPS = ("modp768", "modp1024", "modp1536", "modp2048", "ecp256", "ecp384")
AUTHENTICATIONS = ("mschapv2", "mschapv1", "chap-md5", "pap")

Checksum = Literal["verify", "ignore", "recompute"]
PortPolicy = Literal["next", "lowest-free"]
Contact = Literal["ignore", "same-client", "same-address"]
SendChecksum = Literal["full", "zero"]


@dataclass(frozen=True, slots=True)
class Personality:
    """One personality file. Times are seconds.

    `demux`: a client behind a NAT gets a translated port of `port_first` to `port_last` with its first SA, by `port_policy`: "next"
    gives each port once before any again, then the one that has been free for longest; "lowest-free" the lowest that is free.
    `checksum` judges the UDP header inside ESP: "verify" by the addresses that the gateway sees, "ignore", or "recompute" from the
    NAT-OA addresses (RFC 3948 §3.1.2); `send_checksum` is what goes out. `follow`: a peer whose authentic ESP comes from another
    address or port is answered there from then on. `initial_contact`: which other SAs go when a client says that it had none.

    `half_open` limits the peers whose phase 1, or whose L2TP tunnel, is not up yet. `idle`: how long a peer may send no ESP, or
    where it has no SA for that no IKE, before its SAs are deleted. `secret` is that of L2TP's tunnels, `challenge` asks the peer to
    prove it. `call_wait`: how long a tunnel may be without a call; `hang_up`: how long a call may outlive its PPP link.
    `authentication` is what PPP asks of the peer, in the order in which it is offered; without any, nothing is asked.
    """

    name: str
    title: str
    ipsec: bool
    demux: bool
    port_first: int
    port_last: int
    port_policy: PortPolicy
    checksum: Checksum
    send_checksum: SendChecksum
    follow: bool
    initial_contact: Contact
    half_open: int
    vendor_ids: tuple[bytes, ...]
    ike_proposals: tuple[IkeProposal, ...]
    ike_schedule: Schedule
    dpd: float | None
    idle: float | None
    ike_rekey_margin: float | None
    esp_proposals: tuple[EspProposal, ...]
    host_name: str
    vendor_name: str
    firmware: int
    receive_window: int
    header_bits: int
    hello: float | None
    l2tp_schedule: Schedule
    secret: str | None
    challenge: bool
    max_tunnels: int
    max_calls: int
    call_wait: float
    hang_up: float
    authentication: tuple[str, ...]
    ppp_name: str
    mru: int
    echo: float | None
    echo_misses: int
    ppp_schedule: Schedule

    def scaled(self, factor: float) -> Personality:
        """The same gateway with its timers running `factor` times as fast; retransmissions keep their pace."""

        def less(seconds: float | None) -> float | None:
            return None if seconds is None else seconds / factor

        def shorter(row: Any) -> Any:
            return replace(row, lifetime_s=max(1, round(row.lifetime_s / factor)))

        return replace(
            self,
            dpd=less(self.dpd),
            idle=less(self.idle),
            hello=less(self.hello),
            echo=less(self.echo),
            call_wait=self.call_wait / factor,
            ike_proposals=tuple(map(shorter, self.ike_proposals)),
            esp_proposals=tuple(map(shorter, self.esp_proposals)),
        )

    def against(self, shipped: Personality) -> tuple[str, ...]:
        """What a report says of scaled timers: a line for each that differs."""
        return tuple(
            f"{name}: {here:g} instead of {there:g}"
            for (name, here), (_, there) in zip(self._timers(), shipped._timers(), strict=True)
            if here != there
        )

    def _timers(self) -> Iterator[tuple[str, float]]:
        for name in ("dpd", "idle", "hello", "echo", "call_wait"):
            yield name, getattr(self, name) or 0.0
        yield "IKE lifetime", self.ike_proposals[0].lifetime_s
        yield "ESP lifetime", self.esp_proposals[0].lifetime_s


FIXED = ("ipsec", "address", "ppp_address", "pool_first", "pool_last", "port_first", "port_last", "port_policy")
"""What cannot change while a gateway runs."""


@dataclass(frozen=True, slots=True)
class Settings:
    """A personality and the testbed's values. Addresses are dotted; `users` maps user names to passwords; the pool's ends are both
    given out; `lan` is the gateway's address with prefix length towards the end host, whose own is `end_host`."""

    personality: Personality
    address: str = "203.0.113.231"
    psk: Secret = field(default=Secret("sharedsecret"))
    users: Mapping[str, Secret] = field(default_factory=dict)
    ppp_address: str = "172.16.1.1"
    pool_first: str = "172.16.1.10"
    pool_last: str = "172.16.1.200"
    lan: str | None = None
    end_host: str | None = None
    routes: tuple[str, ...] | None = None  # networks that it forwards to; None: anywhere
    vpdn: Vpdn | None = None  # its VPDN groups, where it is a `vpdn.router.VpdnRouter`
    aaa: Aaa | None = None  # who judges and counts its users, where that is not the gateway itself; for an `ios.core.IosCore`

    def __post_init__(self) -> None:
        first, last = (int(ipaddress.IPv4Address(end)) for end in (self.pool_first, self.pool_last))
        if first > last:
            raise UsageError(f"the pool {self.pool_first} to {self.pool_last} is empty")

    def reaches(self, address: str) -> bool:
        """Whether there is a route to that address."""
        return self.routes is None or any(ipaddress.IPv4Address(address) in ipaddress.IPv4Network(one) for one in self.routes)

    def changed(self, **changes: Any) -> Settings:
        """With other values of these names, of either the testbed's or the personality's; `ike_lifetime_s` and `esp_lifetime_s` are
        those of all its proposals. UsageError for a name that is neither."""
        for name, proposals in _LIFETIMES.items():
            if name in changes:
                lifetime_s = changes.pop(name)
                changes[proposals] = tuple(replace(row, lifetime_s=lifetime_s) for row in getattr(self.personality, proposals))
        own = {f.name for f in fields(self)} - {"personality"}
        look = {f.name for f in fields(self.personality)}
        unknown = sorted(changes.keys() - own - look)
        if unknown:
            raise UsageError(f"a virtual gateway has no setting {', '.join(unknown)}")
        personality = replace(self.personality, **{key: value for key, value in changes.items() if key in look})
        return replace(self, personality=personality, **{key: value for key, value in changes.items() if key in own})


def names() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


@lru_cache(maxsize=64)
def load(name: str) -> Personality:
    """The personality of that name. UsageError where there is none, or where its file is wrong."""
    path = FOLDER / f"{name}.yaml"
    if not path.is_file():
        raise UsageError(f"no virtual gateway is called {name!r}", cure="one of: " + ", ".join(names()))
    return read(path)


def read(path: Path) -> Personality:
    """Reads one personality file, strictly: every key, and no other."""
    top = strict_yaml.read(path).mapping("title", "ipsec", "demux", "checksum", "follow", "initial_contact", "half_open", *_PARTS)
    ports = top["ports"].mapping("first", "last", "policy")
    checksum = top["checksum"].mapping("receive", "send")
    ike = top["ike"].mapping("vendor_ids", "lifetime_s", "proposals", "retransmit_s", "dpd_s", "rekey_margin")
    esp = top["esp"].mapping("lifetime_s", "lifetime_kb", "idle_s", "proposals")
    l2tp = top["l2tp"].mapping(*_L2TP)
    ppp = top["ppp"].mapping("authentication", "name", "mru", "echo_s", "echo_misses", "retransmit_s")
    ike_life = ike["lifetime_s"].integer(1)
    esp_life, esp_kb = esp["lifetime_s"].integer(1), esp["lifetime_kb"].integer(0)
    first, last = ports["first"].integer(1, 65535), ports["last"].integer(1, 65535)
    if first > last:
        raise top["ports"].wrong(f"no port lies between {first} and {last}")
    return Personality(
        name=path.stem,
        title=top["title"].text(),
        ipsec=top["ipsec"].boolean(),
        demux=bool(top["demux"].optional(At.boolean)),
        port_first=first,
        port_last=last,
        port_policy=_one_of(ports["policy"], PortPolicy),
        checksum=_one_of(checksum["receive"], Checksum),
        send_checksum=_one_of(checksum["send"], SendChecksum),
        follow=top["follow"].boolean(),
        initial_contact=_one_of(top["initial_contact"], Contact),
        half_open=top["half_open"].integer(1),
        vendor_ids=ike["vendor_ids"].items(At.octets),
        ike_proposals=ike["proposals"].items(lambda at: _ike_proposal(at, ike_life)),
        ike_schedule=_schedule(ike["retransmit_s"]),
        dpd=ike["dpd_s"].optional(At.seconds),
        idle=esp["idle_s"].optional(At.seconds),
        ike_rekey_margin=ike["rekey_margin"].optional(At.share),
        esp_proposals=esp["proposals"].items(lambda at: _esp_proposal(at, esp_life, esp_kb)),
        host_name=l2tp["host_name"].text(),
        vendor_name=l2tp["vendor_name"].text(),
        firmware=l2tp["firmware"].integer(0, 65535),
        receive_window=l2tp["receive_window"].integer(1, 65535),
        header_bits=l2tp["header_bits"].integer(0, 65535),
        hello=l2tp["hello_s"].optional(At.seconds),
        l2tp_schedule=_schedule(l2tp["retransmit_s"]),
        secret=l2tp["secret"].optional(At.text),
        challenge=l2tp["challenge"].boolean(),
        max_tunnels=l2tp["max_tunnels"].integer(1, 60000),
        max_calls=l2tp["max_calls"].integer(1, 60000),
        call_wait=l2tp["call_wait_s"].seconds(),
        hang_up=l2tp["hang_up_s"].seconds(least=0.0),
        authentication=ppp["authentication"].optional(lambda at: at.items(lambda one: one.one_of(AUTHENTICATIONS))) or (),
        ppp_name=ppp["name"].text(),
        mru=ppp["mru"].integer(128, 65535),
        echo=ppp["echo_s"].optional(At.seconds),
        echo_misses=ppp["echo_misses"].integer(1),
        ppp_schedule=_schedule(ppp["retransmit_s"]),
    )


_LIFETIMES = {"ike_lifetime_s": "ike_proposals", "esp_lifetime_s": "esp_proposals"}

_PARTS = ("ports", "ike", "esp", "l2tp", "ppp")
_L2TP = (
    "host_name", "vendor_name", "firmware", "receive_window", "header_bits", "hello_s", "retransmit_s", "secret", "challenge",
    "max_tunnels", "max_calls", "call_wait_s", "hang_up_s",
)  # fmt: skip


def _one_of(at: At, choices: Any) -> Any:
    return at.one_of(get_args(choices))


def _schedule(at: At) -> Schedule:
    read_wait: Callable[[At], float] = At.seconds
    return Schedule(at.items(read_wait))


def _ike_proposal(at: At, lifetime_s: int) -> IkeProposal:
    keys = at.mapping("encryption", "hash", "group")
    encryption, group = keys["encryption"].one_of(ENCRYPTIONS), keys["group"].one_of(GROUPS)
    return IkeProposal(encryption, keys["hash"].one_of(HASHES), group, lifetime_s)


def _esp_proposal(at: At, lifetime_s: int, lifetime_kb: int) -> EspProposal:
    keys = at.mapping("encryption", "authentication")
    return EspProposal(keys["encryption"].one_of(ENCRYPTIONS), keys["authentication"].one_of(HASHES), lifetime_s, lifetime_kb)
