"""Captures that were taken elsewhere, made into `Evidence`: who is who is deduced, clocks are compared, keys fitted.

Nobody wrote down what the clients did, so such evidence has no records and no steps (`Evidence.accounts` is false).
"""

from __future__ import annotations

import ipaddress
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.errors import CaptureError, UsageError
from harness.model import CaptureFacts, ClientPlan, ClockOffset, Evidence, FrameKind, Observation, Secret, Side
from harness.probes import clocks, deduce
from harness.probes.completeness import gaps
from harness.probes.dissect import Addresses, Dissector
from harness.probes.foreign_keys import Fitted, GivenKeys, fitted, read_given
from harness.probes.pairing import Pairing, pair
from harness.probes.pcap import read_frames
from harness.probes.pcapng import Told
from harness.probes.sentinel import watch
from harness.probes.sites import sort_out
from harness.verdict.negotiation import nat_d
from harness.verdict.reading import mark_of

FILTER = "tcpdump -s 0 -w FILE 'udp port 500 or udp port 4500 or udp port 1701 or ip proto 50'"
MAX_GAPS = 5

Sides = dict[Side, tuple[Observation, ...]]


@dataclass(frozen=True, slots=True)
class Asked:
    """The command line: the files, and what the user knows already (None: to be deduced). `inside` may be the only capture, and is
    then of whichever side it turns out to be."""

    inside: Path
    outside: Path | None = None
    keys: Path | None = None
    gateway: str | None = None
    prefix: str | None = None
    nat: str | None = None


@dataclass(frozen=True, slots=True)
class FileFacts:
    """One capture file. `dropped` is None where the file does not say what was lost; `why` it is not whole."""

    path: str
    side: Side
    format: str
    frames: int
    cut: int
    unstamped: int
    dropped: int | None
    began: float
    ended: float
    why: str | None

    def to_dict(self) -> dict[str, Any]:
        return {"path": self.path, "side": self.side.value, "format": self.format, "frames": self.frames, "cut": self.cut,
                "dropped": self.dropped, "began": self.began, "ended": self.ended, "damage": self.why}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Taken:
    """`said` are sentences on what was deduced; `keys` is None where no keys were given."""

    evidence: Evidence
    files: tuple[FileFacts, ...]
    who: deduce.WhoIsWho
    keys: Fitted | None
    said: tuple[str, ...]


def take(asked: Asked, dissector: Dissector) -> Taken:
    """UsageError, with the file and the cure, for what can't be what the user meant; what makes captures doubtful is trouble."""
    _check_addresses(asked)
    given = None if asked.keys is None else read_given(asked.keys)
    named = {Side.INSIDE: asked.inside} | ({} if asked.outside is None else {Side.OUTSIDE: asked.outside})
    files = {side: facts_of(path, side) for side, path in named.items()}
    seen = _dissect(dissector, named)
    for side, frames in seen.items():
        _require_ipsec(frames, files[side])
    gateway = asked.gateway or deduce.gateway_of(seen.values())
    said = [] if asked.gateway else [f"gateway {gateway}: the clients' first messages, or their service ports, are addressed to it"]
    for side, frames in seen.items():
        if not any(gateway in (o.src, o.dst) for o in frames if o.kind in deduce.KINDS):
            told = f"the gateway is {gateway}, and nothing in this capture is to or from it"
            raise UsageError(told, file=files[side].path, cure="--gateway A, or another capture")
    if asked.outside is None and _behind_nat(seen[Side.INSIDE], gateway):
        named = {Side.OUTSIDE: asked.inside}
        files = {Side.OUTSIDE: replace(files[Side.INSIDE], side=Side.OUTSIDE)}
        seen = {Side.OUTSIDE: tuple(replace(o, side=Side.OUTSIDE) for o in seen[Side.INSIDE])}
        said.append("this capture is of the outside: what the clients hash of their own addresses (NAT-D) is not what it shows")
    elif asked.outside is None:
        said.append("this capture is taken to be of the inside")
    if all(o.kind not in (FrameKind.IKE, FrameKind.ESP) for found in seen.values() for o in found):
        said.append("there is no IPsec at all: L2TP runs in clear, and is read as that")
    paired, clock = _compare(seen, files, gateway)
    who = _who(asked, seen, paired, gateway, said)
    names = _names(who.clients, given, seen)
    keys = None if given is None else _fit(given, seen, gateway, names, asked)
    opened = _dissect(dissector, named, keys, Addresses(gateway, who.nat, names), clock)
    evidence = _evidence(files, opened, who, _by_marks(names, opened, gateway), clock, keys)
    return Taken(evidence, tuple(files.values()), who, keys, tuple(said))


def facts_of(path: Path, side: Side) -> FileFacts:
    """UsageError for what is no capture at all, or has no frame."""
    if not path.is_file():
        absent = "this is no file" if path.exists() else "there is no such file"
        raise UsageError(absent, file=str(path), cure="natstorm wire INSIDE.pcap OUTSIDE.pcap")
    told, count, cut, stamps = Told(), 0, 0, [0.0, 0.0]
    why: str | None = None
    try:
        for frame in read_frames(path, told):
            if not count or frame.t < stamps[0]:
                stamps[0] = frame.t
            stamps[1] = max(stamps[1], frame.t)
            count, cut = frame.number, cut + frame.cut
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", file=str(path), cure="give yourself the right to read it") from error
    except CaptureError as error:
        if not count:
            what = str(error).removeprefix(f"{path}: ")
            raise UsageError(what, file=str(path), cure=f"a pcap or pcapng file, such as this makes: {FILTER}") from error
        why = str(error).removeprefix(f"{path}: ")
    if not count:
        raise UsageError("the capture holds no frame", file=str(path), cure=f"capture while clients connect: {FILTER}")
    return FileFacts(str(path), side, told.format, count, cut, told.unstamped, told.dropped, stamps[0], stamps[1], why)


def _dissect(
    dissector: Dissector,
    named: Mapping[Side, Path],
    keys: Fitted | None = None,
    addresses: Addresses | None = None,
    clock: ClockOffset | None = None,
) -> Sides:
    with tempfile.TemporaryDirectory(prefix="natstorm-") as folder:
        file = Path(folder) / "keys.jsonl"
        if keys is not None:
            file.touch(mode=0o600)
            file.write_text("".join(f"{line}\n" for line in keys.lines), encoding="ascii")
        return dict(dissector.dissect(named, keys=None if keys is None else file, addresses=addresses, clock=clock))


def _check_addresses(asked: Asked) -> None:
    for option, value in (("--gateway", asked.gateway), ("--nat", asked.nat)):
        try:
            ipaddress.IPv4Address(value or "192.0.2.1")
        except ValueError:
            raise UsageError(f"{option} {value}: no IPv4 address", cure=f"{option} 203.0.113.1") from None
    try:
        ipaddress.IPv4Network(asked.prefix or "192.0.2.0/24")
    except ValueError as error:
        raise UsageError(f"--prefix {asked.prefix}: {error}", cure="--prefix 10.0.0.0/24") from None
    if asked.outside is not None and asked.outside.exists() and asked.inside.exists() and asked.inside.samefile(asked.outside):
        twice = "this one file is given as both sides of the NAT"
        raise UsageError(twice, file=str(asked.inside), cure="name it once, or two files")


def _require_ipsec(frames: Sequence[Observation], file: FileFacts) -> None:
    if any(o.kind in deduce.KINDS for o in frames):
        return
    counts: dict[str, int] = {}
    for o in frames:
        what = {1: "ICMP", 6: "TCP", 17: "UDP"}.get(int(o.headers.get("protocol", 0)), "other") if o.src else "not IPv4"
        counts[what] = counts.get(what, 0) + 1
    held = ", ".join(f"{count} {what}" for what, count in counts.items())
    raise UsageError(
        f"no IKE, no ESP and no L2TP among its {file.frames} frames ({held})", file=file.path,
        cure=f"capture where the clients' traffic passes: {FILTER}",
    )  # fmt: skip


def _behind_nat(frames: Sequence[Observation], gateway: str) -> bool:
    """Whether main modes show, by NAT-D (RFC 3947 section 3.2), that their initiators have other addresses than this capture
    shows."""
    fits: list[bool] = []
    for o in frames:
        if o.ike is None or o.ike.get("message") != "MM3" or o.dst != gateway or len(o.ike["nat_d"]) < 2:
            continue
        own = nat_d(str(o.ike["icookie"]), str(o.ike["rcookie"]), o.src, o.sport or 0, len(o.ike["nat_d"][0]))
        fits.append(own in o.ike["nat_d"][1:])
    return bool(fits) and not any(fits)


def _compare(seen: Sides, files: Mapping[Side, FileFacts], gateway: str) -> tuple[Pairing, ClockOffset | None]:
    """The pairs of two captures, by stamps that are put on one clock; nothing of one alone. UsageError where the two cannot be the
    two sides of one NAT, in this order."""
    if len(seen) < 2:
        return Pairing((), ()), None
    paired = pair(seen[Side.INSIDE], seen[Side.OUTSIDE], gateway)
    one, other = files[Side.INSIDE], files[Side.OUTSIDE]
    if not paired.pairs:
        raise UsageError(
            f"no packet of {one.path} ({_span(one)}) is in {other.path} ({_span(other)})",
            cure="give two captures of the same time, on both sides of the same NAT",
        )
    inside, outside = ({o.frame: o for o in seen[side]} for side in (Side.INSIDE, Side.OUTSIDE))
    found = deduce.order(paired.pairs, inside, outside)
    if found.swapped:
        told = f"{found.wrong} packets went through a router on their way from {other.path} to {one.path}"
        raise UsageError(f"the captures are the wrong way round: {told}", cure=f"natstorm wire {other.path} {one.path}")
    if found.same_side and not deduce.nat_of(outside, paired.pairs, inside):
        told = f"{found.none} packets have the same addresses and the same TTL in both"
        raise UsageError(
            f"both captures were taken on the same side of the NAT: {told}", file=other.path,
            cure="give one capture of each side, or one alone",
        )  # fmt: skip
    clock = clocks.estimate(seen[Side.INSIDE], seen[Side.OUTSIDE], paired.pairs)
    if clock is not None and clocks.provable(clock):
        clock = replace(clock, corrected=True)
        aligned = clocks.on_one_clock(seen, clock)
        paired = pair(aligned[Side.INSIDE], aligned[Side.OUTSIDE], gateway)
    return paired, clock


def _span(file: FileFacts) -> str:
    return f"{stamp(file.began)} to {stamp(file.ended)}"


def stamp(t: float) -> str:
    return datetime.fromtimestamp(t, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def _who(asked: Asked, seen: Sides, paired: Pairing, gateway: str, said: list[str]) -> deduce.WhoIsWho:
    side = Side.INSIDE if Side.INSIDE in seen else Side.OUTSIDE
    found = deduce.inside_addresses(seen[side], gateway)
    prefix = asked.prefix or deduce.covering(found)
    network = ipaddress.IPv4Network(prefix)
    clients = tuple(one for one in found if ipaddress.IPv4Address(one) in network)
    if not clients:
        raise UsageError(f"--prefix {prefix}: no client in it talks to the gateway; {', '.join(found[:5])} do", cure="--prefix P")
    if len(clients) < len(found):
        left = ", ".join(one for one in found if one not in clients)
        said.append(f"left out: {left}, for being outside of {prefix}; nothing is judged of what was between them and the gateway")
    if side is Side.OUTSIDE:
        _require_nat(asked, found)
        nat = asked.nat or (clients[0] if len(clients) == 1 else "")
        told = f"NAT {nat}: the one address that talks to the gateway"
        said += [] if asked.nat else [told if nat else "no NAT was deduced: several addresses talk to the gateway on this one side"]
        return deduce.WhoIsWho(gateway, nat, clients, prefix)
    if not asked.prefix:
        said.append(f"clients {prefix}: {len(clients)} addresses in it talk to the gateway on the inside")
    outside = {o.frame: o for o in seen.get(Side.OUTSIDE, ())}
    shown = deduce.nat_of(outside, paired.pairs, {o.frame: o for o in seen[Side.INSIDE]})
    if Side.OUTSIDE in seen:
        _require_nat(asked, tuple(shown))
    nat = asked.nat or next((address for address, _ in shown.most_common(1)), "")
    if Side.OUTSIDE in seen and not asked.nat:
        shows = f"NAT {nat}: the outside shows the clients under this address"
        said.append(shows if nat else "no NAT: addresses are the same on both sides")
    if len(shown) > 1:
        named = ", ".join(f"{address} ({count} frames)" for address, count in shown.most_common(5))
        said.append(f"the NAT shows the clients under several addresses: {named}")
    return deduce.WhoIsWho(gateway, nat, clients, prefix)


def _require_nat(asked: Asked, shown: Sequence[str]) -> None:
    """UsageError where the NAT that the user names is none of those under which the outside shows the clients: whatever the real
    one sends would be held against a box."""
    if asked.nat is None or asked.nat in shown:
        return
    there = f"the outside shows the clients under {', '.join(shown[:5])}" if shown else "addresses are the same on both sides"
    raise UsageError(f"--nat {asked.nat}: {there}", cure=f"--nat {shown[0]}, or no --nat" if shown else "no --nat")


_NUMBERED = re.compile(r"c([1-9][0-9]*)")


def _names(clients: Sequence[str], given: GivenKeys | None, seen: Sides) -> dict[str, str]:
    """Name → address. The run's own keys name their clients; the others are numbered as they appear."""
    own: dict[str, str] = {}
    lines = given.own if given is not None else ()
    told = {str(line["icookie"]).lower(): str(line.get("client", "")) for line in lines if line["kind"] == "ike"}
    for o in (o for found in seen.values() for o in found):
        name = told.get(str(o.ike["icookie"]), "") if o.ike is not None else ""
        if _NUMBERED.fullmatch(name) and o.src in clients and o.src not in own.values():
            own.setdefault(name, o.src)
    free = (f"c{number}" for number in range(1, len(clients) + len(own) + 1) if f"c{number}" not in own)
    every = own | {next(free): address for address in clients if address not in own.values()}
    return dict(sorted(every.items(), key=lambda one: int(one[0][1:])))


def _by_marks(names: dict[str, str], opened: Sides, gateway: str) -> dict[str, str]:
    """The names with those that the clients' own marked packets bear, where the captures are of a run whose keys name nobody."""
    said: dict[str, str] = {}
    for o in opened.get(Side.INSIDE, ()):
        mark = mark_of(o)
        if mark is not None and not mark.answer and o.dst == gateway and o.src in names.values():
            said.setdefault(o.src, f"c{mark.owner}")
    if len(set(said.values())) < len(said):
        return names  # two clients that bear one number: whatever that is, it names nobody
    free = (f"c{n}" for n in range(1, 2 * len(names) + 1) if f"c{n}" not in said.values())
    every = {said.get(address) or next(free): address for address in names.values()}
    return dict(sorted(every.items(), key=lambda one: int(one[0][1:])))


def _fit(given: GivenKeys, seen: Sides, gateway: str, names: Mapping[str, str], asked: Asked) -> Fitted:
    keys = fitted(given, seen, gateway, {address: name for name, address in names.items()})
    if not keys.used:
        spis = sorted({str(o.esp["spi"]) for found in seen.values() for o in found if o.esp is not None})
        held = f"they have the SPIs {', '.join(spis[:6])}{' …' if len(spis) > 6 else ''}" if spis else "they have no ESP"
        raise UsageError(
            f"none of its {keys.given} keys belongs to a main mode or an SA of the captures: {held}", file=str(asked.keys),
            cure="the keys of the run that the captures are of, or no --keys",
        )  # fmt: skip
    return keys


def _evidence(
    files: Mapping[Side, FileFacts],
    opened: Sides,
    who: deduce.WhoIsWho,
    names: Mapping[str, str],
    clock: ClockOffset | None,
    keys: Fitted | None,
) -> Evidence:
    seen = opened if clock is None else clocks.on_one_clock(opened, clock)
    plans = tuple(
        ClientPlan(int(name[1:]), address, who.gateway, Secret(""), "", Secret(""), "unknown") for name, address in names.items()
    )
    paired, found, _ = sort_out(seen, plans if Side.INSIDE in seen else (), who.gateway, who.nat)
    users = {one.client: one.user or "" for one in found}
    exposed = watch(seen, nat_traversal=bool(who.nat))
    protected = any(o.kind in (FrameKind.IKE, FrameKind.ESP) for frames in seen.values() for o in frames)
    return Evidence(
        scenario="captures",
        testbed="taken elsewhere",
        variant=who.gateway,
        plans=tuple(replace(plan, user=users.get(plan.name, "")) for plan in plans) if Side.INSIDE in seen else (),
        steps=(),
        records=(),
        observations=seen,
        captures=tuple(CaptureFacts(f.side, f.path, "", f.frames, f.dropped or 0, f.why is None) for f in files.values()),
        pairs=paired.pairs,
        identities=found,
        gateway_address=who.gateway,
        nat_outside=who.nat,
        trouble=tuple(_trouble(files, seen, who, keys)),
        exposures=tuple((one.side.value, one.frame, f"{one.exposure.value}: {one.why}") for one in exposed),
        accounts=False,
        clock=clock,
        clear_expected=not protected,
    )


def _trouble(files: Mapping[Side, FileFacts], seen: Sides, who: deduce.WhoIsWho, keys: Fitted | None) -> list[str]:
    """Why the captures are not to be trusted, as far as they show it themselves."""
    found = []
    for side, file in files.items():
        if file.why is not None:
            found.append(f"{file.path} is damaged, and only the {file.frames} frames before that were read: {file.why}")
        if file.dropped:
            found.append(f"{file.path}: its writer says that it lost {file.dropped} frames")
        if file.cut:
            found.append(f"{file.path}: of {file.cut} frames only a part was kept (capture again with: tcpdump -s 0)")
        if file.unstamped:
            found.append(f"{file.path}: {file.unstamped} frames bear no time stamp")
        missing = gaps(seen[side], who.gateway, first_box="up" if side is Side.INSIDE else "down")
        found += [f"{file.path} lacks {gap.what}, which must have come before frame {gap.frame}" for gap in missing[:MAX_GAPS]]
    if keys is not None:
        found += list(keys.unfit)
    return found
