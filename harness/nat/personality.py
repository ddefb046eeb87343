"""What makes the NAT behave like one kind of box: a YAML file in `personalities/`, read strictly, made into the core's parts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from harness.errors import UsageError
from harness.nat.allocator import KINDS, PortRange
from harness.nat.behaviour import ADDRESS_AND_PORT, FILTERS, MAPPINGS
from harness.nat.ios.plan import read_plan
from harness.nat.ios.services import IosPlan
from harness.nat.link import Impairments
from harness.strict_yaml import At, read

FOLDER = Path(__file__).parent / "personalities"

IKE_HELPERS = ("none", "cookie", "first-client", "last-client")
ESP_HELPERS = ("none", "spi-guess", "first-client", "last-client")


@dataclass(frozen=True, slots=True)
class Translation:
    """`mapping` and `filtering` as in RFC 4787. `overload`: one outside port may serve several bindings towards different remote
    ends. Times in seconds; `limit` in sessions. `payload_octets` is None for a NAT that leaves payloads alone. `ios` is set where
    the NAT is an IOS router's: what that says takes the place of `ike`, `esp`, and of the times."""

    mapping: str
    filtering: str
    allocator: str
    ports: PortRange
    overload: bool
    udp_s: float
    udp_stream_s: float
    icmp_s: float
    portless_s: float
    refresh_outbound: bool
    refresh_inbound: bool
    limit: int
    ike: str
    esp: str
    payload_octets: int | None
    ios: IosPlan | None = None


@dataclass(frozen=True, slots=True)
class Personality:
    """`translation` is None for a router. `up` is the link towards the outside, `down` the one towards the inside."""

    name: str
    title: str
    translation: Translation | None
    up: Impairments | None
    down: Impairments | None


@lru_cache(maxsize=64)
def load(name: str) -> Personality:
    """The personality of that name. Raises UsageError where there is none, or where its file is wrong."""
    path = FOLDER / f"{name}.yaml"
    if not path.is_file():
        raise UsageError(f"no NAT is called {name!r}", cure="one of: " + ", ".join(names()))
    return read_file(path)


def names() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


def read_file(path: Path) -> Personality:
    """Reads one personality file, strictly."""
    ios, rest = read(path).without("ios")
    top = rest.mapping("title", "translation", "impairments")
    links = top["impairments"].optional(lambda at: at.mapping("up", "down"))
    return Personality(
        name=path.stem,
        title=top["title"].text(),
        translation=top["translation"].optional(lambda at: _translation(at, ios)),
        up=None if links is None else links["up"].optional(_impairments),
        down=None if links is None else links["down"].optional(_impairments),
    )


def _translation(at: At, ios: At | None) -> Translation:
    keys = at.mapping("mapping", "filtering", "allocator", "timers", "limit", "helpers")
    allocator = keys["allocator"].mapping("kind", "first", "last", "low_stay_low", "overload")
    timers = keys["timers"].mapping("udp_s", "udp_stream_s", "icmp_s", "portless_s", "refresh_outbound", "refresh_inbound")
    helpers = keys["helpers"].mapping("ike", "esp", "payload_octets")
    mapping, filtering = keys["mapping"].one_of(tuple(MAPPINGS)), keys["filtering"].one_of(tuple(FILTERS))
    overload = allocator["overload"].boolean()
    if overload and (mapping, filtering) != (ADDRESS_AND_PORT, ADDRESS_AND_PORT):
        raise allocator["overload"].wrong(
            "a port that serves several bindings is only told apart by remote address and port",
            f"mapping and filtering: {ADDRESS_AND_PORT}, or overload: false",
        )
    first = allocator["first"].integer(1, 65535)
    last = allocator["last"].integer(first, 65535)
    return Translation(
        mapping=mapping,
        filtering=filtering,
        allocator=allocator["kind"].one_of(KINDS),
        ports=PortRange(first, last, allocator["low_stay_low"].boolean()),
        overload=overload,
        udp_s=timers["udp_s"].seconds(),
        udp_stream_s=timers["udp_stream_s"].seconds(),
        icmp_s=timers["icmp_s"].seconds(),
        portless_s=timers["portless_s"].seconds(),
        refresh_outbound=timers["refresh_outbound"].boolean(),
        refresh_inbound=timers["refresh_inbound"].boolean(),
        limit=keys["limit"].integer(1),
        ike=helpers["ike"].one_of(IKE_HELPERS),
        esp=helpers["esp"].one_of(ESP_HELPERS),
        payload_octets=helpers["payload_octets"].optional(lambda node: node.integer(1, 4)),
        ios=None if ios is None else read_plan(ios),
    )


def _impairments(at: At) -> Impairments:
    keys = at.mapping("loss", "duplicate", "delay_s", "jitter_s", "reorder", "reorder_s", "corrupt", "mtu", "ignore_df")
    return Impairments(
        loss=keys["loss"].probability(),
        duplicate=keys["duplicate"].probability(),
        delay_s=keys["delay_s"].seconds(least=0.0),
        jitter_s=keys["jitter_s"].seconds(least=0.0),
        reorder=keys["reorder"].probability(),
        reorder_s=keys["reorder_s"].seconds(least=0.0),
        corrupt=keys["corrupt"].probability(),
        mtu=keys["mtu"].optional(lambda node: node.integer(68, 65535)),
        ignore_df=keys["ignore_df"].boolean(),
    )
