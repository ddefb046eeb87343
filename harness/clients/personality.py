"""What makes a client look like one product: a YAML file in `personalities/`, read strictly, turned into a `wire` configuration.

Every key is required and no other is taken, so that a misspelt one cannot fall back to a default unseen. A file may be `based_on`
another, which is not based on a third, and then says what differs. Each mistake is a UsageError with the file and the line where it
stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from harness import strict_yaml
from harness.errors import UsageError
from harness.model import ClientPlan
from harness.strict_yaml import At
from harness.wire.config import Entropy, EspProposal, IkeConfig, IkeProposal, L2tpConfig, PppConfig, StackConfig
from harness.wire.retransmit import Schedule

FOLDER = Path(__file__).parent / "personalities"

ENCRYPTIONS = ("aes-256", "aes-192", "aes-128", "3des", "des")
HASHES = ("sha256", "sha1", "md5")
GROUPS = ("modp768", "modp1024", "modp1536", "modp2048", "ecp256", "ecp384")
AUTHENTICATIONS = ("mschapv2", "mschapv1", "chap-md5", "pap")
CHECKSUMS = ("full", "zero")
EXCHANGES = ("main", "aggressive")
NONE = "none"
"""ESP without authentication, as an offer."""

BASED_ON = "based_on"
IKE_KEYS = (
    "vendor_ids", "identity", "id_protocol", "id_port", "lifetime_s", "proposals", "retransmit_s", "keepalive_s",
    "dpd_s", "rekey_margin", "initial_contact", "exchange",
)  # fmt: skip
ESP_KEYS = ("lifetime_s", "lifetime_kb", "proposals")
L2TP_KEYS = (
    "port", "udp_checksum", "host_name", "vendor_name", "firmware", "receive_window", "framing", "bearer", "hello_s",
    "correlation_id", "header_bits", "start_delay_s", "retransmit_s",
)  # fmt: skip
PPP_KEYS = ("mru", "accept", "echo_s", "echo_misses", "request_dns", "retransmit_s")


@dataclass(frozen=True, slots=True)
class Personality:
    """One personality file's content. `host_name` may hold `{number}`; `correlation_id` asks for a fresh one a connection. Without
    `ipsec` L2TP goes in the clear. `l2tp_port` is the client's own UDP port. `lacks` says why it does not
    dial at all."""

    name: str
    title: str
    lacks: str | None
    ipsec: bool
    vendor_ids: tuple[bytes, ...]
    identity: str
    id_protocol: int
    id_port: int
    proposals: tuple[IkeProposal, ...]
    ike_schedule: Schedule
    keepalive_s: float
    dpd_s: float | None
    rekey_margin: float | None
    initial_contact: bool
    exchange: str
    esp_proposals: tuple[EspProposal, ...]
    l2tp_port: int
    udp_checksum: str
    host_name: str
    vendor_name: str
    firmware: int
    receive_window: int
    framing: int
    bearer: int
    hello_s: float
    correlation_id: bool
    header_bits: int
    start_delay_s: float
    l2tp_schedule: Schedule
    mru: int
    accept: tuple[str, ...]
    echo_s: float | None
    echo_misses: int
    request_dns: bool
    ppp_schedule: Schedule

    def stack_config(self, plan: ClientPlan, entropy: Entropy) -> StackConfig:
        """The configuration of one connection of `plan`'s client. The one place where a client's secrets are revealed."""
        return StackConfig(
            ike=self._ike(plan) if self.ipsec else None,
            l2tp_port=self.l2tp_port,
            udp_checksum="zero" if self.udp_checksum == "zero" else "full",
            l2tp=L2tpConfig(
                host_name=self.host_name.replace("{number}", str(plan.number)),
                vendor_name=self.vendor_name,
                firmware=self.firmware,
                receive_window=self.receive_window,
                framing=self.framing,
                bearer=self.bearer,
                hello_s=self.hello_s,
                correlation_id=entropy(16) if self.correlation_id else None,
                header_bits=self.header_bits,
                start_delay_s=self.start_delay_s,
                schedule=self.l2tp_schedule,
            ),
            ppp=PppConfig(
                user=plan.user,
                password=plan.password.reveal(),
                mru=self.mru,
                accept=self.accept,
                echo_s=self.echo_s,
                echo_misses=self.echo_misses,
                request_dns=self.request_dns,
                schedule=self.ppp_schedule,
            ),
        )


    def _ike(self, plan: ClientPlan) -> IkeConfig:
        return IkeConfig(
            address=plan.address,
            peer_address=plan.gateway,
            psk=plan.psk.reveal().encode(),
            proposals=self.proposals,
            esp_proposals=self.esp_proposals,
            vendor_ids=self.vendor_ids,
            identity=self.identity,
            id_protocol=self.id_protocol,
            id_port=self.id_port,
            l2tp_port=self.l2tp_port,
            keepalive_s=self.keepalive_s,
            dpd_s=self.dpd_s,
            rekey_margin=self.rekey_margin,
            initial_contact=self.initial_contact,
            exchange="aggressive" if self.exchange == "aggressive" else "main",
            schedule=self.ike_schedule,
        )


@lru_cache(maxsize=64)
def load(name: str) -> Personality:
    """The personality of that name. Raises UsageError where there is none, or where its file is wrong."""
    path = FOLDER / f"{name}.yaml"
    if not path.is_file():
        raise UsageError(f"no personality is called {name!r}", cure="one of: " + ", ".join(names()))
    return read(path)


def names() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


def clear_ports() -> tuple[int, ...]:
    """The UDP ports from which clients without IPsec speak L2TP."""
    return tuple(sorted({load(name).l2tp_port for name in names() if not load(name).ipsec}))


def read(path: Path) -> Personality:
    """Reads one personality file, strictly."""
    top = _whole(path).mapping("title", "lacks", "ipsec", "ike", "esp", "l2tp", "ppp")
    ike = top["ike"].mapping(*IKE_KEYS)
    esp = top["esp"].mapping(*ESP_KEYS)
    l2tp = top["l2tp"].mapping(*L2TP_KEYS)
    ppp = top["ppp"].mapping(*PPP_KEYS)
    ike_life, esp_life, esp_kb = ike["lifetime_s"].integer(1), esp["lifetime_s"].integer(1), esp["lifetime_kb"].integer(0)
    return Personality(
        name=path.stem,
        title=top["title"].text(),
        lacks=top["lacks"].optional(At.text),
        ipsec=top["ipsec"].boolean(),
        vendor_ids=ike["vendor_ids"].items(At.octets),
        identity=_identity(ike["identity"]),
        id_protocol=ike["id_protocol"].integer(0, 255),
        id_port=ike["id_port"].integer(0, 65535),
        proposals=ike["proposals"].items(lambda at: _ike_proposal(at, ike_life)),
        ike_schedule=_schedule(ike["retransmit_s"]),
        keepalive_s=ike["keepalive_s"].seconds(least=0.0),
        dpd_s=ike["dpd_s"].optional(At.seconds),
        rekey_margin=ike["rekey_margin"].optional(At.share),
        initial_contact=ike["initial_contact"].boolean(),
        exchange=ike["exchange"].one_of(EXCHANGES),
        esp_proposals=esp["proposals"].items(lambda at: _esp_proposal(at, esp_life, esp_kb)),
        l2tp_port=l2tp["port"].integer(1, 65535),
        udp_checksum=l2tp["udp_checksum"].one_of(CHECKSUMS),
        host_name=l2tp["host_name"].text(),
        vendor_name=l2tp["vendor_name"].text(),
        firmware=l2tp["firmware"].integer(0, 65535),
        receive_window=l2tp["receive_window"].integer(1, 65535),
        framing=l2tp["framing"].integer(0, 3),
        bearer=l2tp["bearer"].integer(0, 3),
        hello_s=l2tp["hello_s"].seconds(least=0.0),
        correlation_id=l2tp["correlation_id"].boolean(),
        header_bits=l2tp["header_bits"].integer(0, 65535),
        start_delay_s=l2tp["start_delay_s"].seconds(least=0.0),
        l2tp_schedule=_schedule(l2tp["retransmit_s"]),
        mru=ppp["mru"].integer(128, 65535),
        accept=ppp["accept"].items(lambda at: at.one_of(AUTHENTICATIONS)),
        echo_s=ppp["echo_s"].optional(At.seconds),
        echo_misses=ppp["echo_misses"].integer(1),
        request_dns=ppp["request_dns"].boolean(),
        ppp_schedule=_schedule(ppp["retransmit_s"]),
    )


def _whole(path: Path) -> At:
    """The file, laid over the one that it is based on."""
    top = strict_yaml.read(path)
    base, own = top.without(BASED_ON)
    if base is None:
        return own
    name = base.one_of(names())
    below, rest = strict_yaml.read(FOLDER / f"{name}.yaml").without(BASED_ON)
    if below is not None:
        raise base.wrong(f"{name} is itself based on {below.text()}", f"base this one on {below.text()}, and say what differs")
    return strict_yaml.overlay(rest, own)


def _ike_proposal(at: At, lifetime_s: int) -> IkeProposal:
    keys = at.mapping("encryption", "hash", "group")
    encryption, group = keys["encryption"].one_of(ENCRYPTIONS), keys["group"].one_of(GROUPS)
    return IkeProposal(encryption, keys["hash"].one_of(HASHES), group, lifetime_s)


def _esp_proposal(at: At, lifetime_s: int, lifetime_kb: int) -> EspProposal:
    keys = at.mapping("encryption", "authentication")
    authentication = keys["authentication"].one_of((*HASHES, NONE))
    return EspProposal(keys["encryption"].one_of(ENCRYPTIONS), authentication, lifetime_s, lifetime_kb)


def _schedule(at: At) -> Schedule:
    return Schedule(at.items(At.seconds))


def _identity(at: At) -> str:
    value = at.text()
    if value != "address" and not (value.startswith("fqdn:") and len(value) > len("fqdn:")):
        raise at.wrong(f"{value!r} is no identity", 'write "address" or "fqdn:NAME"')
    return value
