"""A NAT's entries of hosts that speak through it: what is shown, held against what the hosts on both sides saw, and what clearing
does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from harness.model import Evidence, FrameKind, Side, Told, Verdict, ios_releases
from harness.verdict.findings import Findings, require
from harness.verdict.routers.esp_reading import endpoint
from harness.verdict.routers.esp_table import CLEAR, NAT, SHOW, SLACK_S, expected_lines, lines
from harness.verdict.routers.gate import RouterCheck, check
from harness.verdict.routers.reading import arrived, frames, printed, rows, step, told

SIDES = (Side.INSIDE, Side.OUTSIDE)
DNS, TELNET, TELNET_2 = "171.69.2.132", "171.69.1.220", "171.69.1.161"
NO_FORM_OF = {"esp": "show-nat-esp", "vrf red": "show-nat-vrf"}
DOCUMENTED: Mapping[str, Mapping[str, bool]] = {
    "12.2(8)T": {"esp": False, "vrf red": False},
    "12.2(13)T": {"esp": False, "vrf red": True},
    "12.2(15)T": {"esp": True, "vrf red": True},
}
"""By release: which keywords of `show ip nat translations` it has (the document's command history)."""


@dataclass(frozen=True, slots=True)
class Contact:
    """One inside host's talk with one outside, as both ends saw it: `outer` is whom the outside one saw. Ports of ICMP are its
    identifier. `first` and `last` packet, either way, in seconds since the epoch."""

    protocol: str
    inner: tuple[str, int]
    outer: tuple[str, int]
    remote: tuple[str, int]
    first: float
    last: float

    @property
    def line(self) -> str:
        """The row of it in the document's form."""
        remote = self.outer[1] if self.protocol == "icmp" else self.remote[1]
        local = self.inner[1] if self.protocol == "icmp" else self.remote[1]
        ends = (self.outer, self.inner, (self.remote[0], local), (self.remote[0], remote))
        return " ".join((self.protocol, *(f"{address}:{port}" for address, port in ends)))


def contacts(evidence: Evidence, until: float) -> list[Contact]:
    """Of what came through from inside, by plain hosts, with the times of all packets of that contact."""
    found: dict[tuple[object, ...], Contact] = {}
    for sent, got in arrived(evidence, until=until):
        if got is None or "protocol" not in got.data:
            continue
        here, seen, there = _end(sent, "src"), _end(got, "src"), _end(got, "dst")
        if sent.data["src"] != got.data["src"]:
            key = (got.data["protocol"], here, there)
            old = found.get(key)
            found[key] = Contact(got.data["protocol"], here, seen, there, old.first if old else sent.t, got.t)
        else:  # from outside
            key = (got.data["protocol"], there, here)
            if (old := found.get(key)) is not None:
                found[key] = Contact(old.protocol, old.inner, old.outer, old.remote, old.first, sent.t)
    return list(found.values())


def _end(one: Told, which: str) -> tuple[str, int]:
    return str(one.data[which]), int(one.data["sport" if which == "src" else "dport"])


def _shown(evidence: Evidence, more: str = "", label: str = "up") -> set[str]:
    """The lines of the table, once they have been wholly understood."""
    command = f"{SHOW}{more and f' {more}'}"
    rows(evidence, NAT, command, label)
    return lines(evidence, command, label)


def _expect_same(found: Findings, shown: set[str], wanted: Iterable[str], what: str = "the table") -> None:
    right = set(wanted)
    missing, beyond = sorted(right - shown), sorted(shown - right)
    for line in missing:
        found.expect(False, f"{what} lacks `{line}`")
    for line in beyond:
        found.expect(False, f"{what} has `{line}`")
    found.expect(not missing and not beyond, f"{what} is not what was seen")


# What is shown


@check(*SIDES)
def filters_show_their_own(evidence: Evidence) -> Verdict:
    """ESN-54: each keyword shows the entries of its protocol, or VRF, and no others; all are what hosts and the wire saw."""
    whole = _shown(evidence)
    now = printed(evidence, NAT, SHOW, "up").t
    seen = contacts(evidence, now)
    require({one.protocol for one in seen} >= {"tcp", "udp", "icmp"}, "hosts did not speak TCP, UDP and ICMP through the NAT")
    tunnel = expected_lines(evidence, now)
    require(bool(tunnel), "no tunnel crossed the NAT")
    ike = {one.src for one in frames(evidence, FrameKind.IKE, side=Side.INSIDE, until=now) if one.sport == 500}
    found = Findings(shown=sorted(whole))
    of_hosts = {one.line for one in seen} | tunnel
    for line in sorted(of_hosts - whole):
        found.expect(False, f"the table lacks `{line}`")
    for line in whole - of_hosts:
        fits = line.startswith("udp ") and any(f" {host}:500 " in line for host in ike)
        found.expect(fits, f"the table has `{line}`, which nobody's packets made")
    for protocol in ("esp", "icmp", "pptp", "tcp", "udp"):
        own = {line for line in whole if line.startswith(f"{protocol} ")}
        _expect_same(found, _shown(evidence, protocol), own, f"`{SHOW} {protocol}`")
    verbose = rows(evidence, NAT, f"{SHOW} verbose", "up")
    found.expect(len(verbose) == len(whole), f"the verbose view has {len(verbose)} entries of {len(whole)}")
    found.expect(all(row.details is not None for row in verbose), "the verbose view tells nothing of an entry")
    plain = rows(evidence, NAT, SHOW, "up")
    found.expect(all(row.details is None for row in plain), "without `verbose` more is told of an entry")
    _expect_same(found, _shown(evidence, "vrf red"), whole, "the VRF of all hosts")
    _expect_same(found, _shown(evidence, "vrf blue"), (), "the VRF of nobody")
    return found.verdict("every keyword shows its own entries alone")


@check(*SIDES)
def simple_entries_without_overload(evidence: Evidence) -> Verdict:
    """ESN-55: without overload an inside host has an outside address of its own towards everybody, and one row with both addresses
    and nothing else."""
    said = printed(evidence, NAT, SHOW, "up")
    found = Findings()
    _expect_simple(found, evidence, _shown(evidence), said.t, at_least=2)
    return found.verdict("each inside host has one simple entry, with the address by which all outside saw it")


@check(*SIDES)
def a_vrfs_table(evidence: Evidence) -> Verdict:
    """ESN-58: `vrf red` shows the simple entries of that VRF's hosts below a heading; another VRF's table has none of them. What
    makes the sample's second table is not said, so how many headings there are is noted."""
    command = f"{SHOW} vrf red"
    said = printed(evidence, NAT, command, "up")
    found = Findings(headings=sum(line.lstrip().startswith("Pro ") for line in said.text.splitlines()))
    _expect_simple(found, evidence, _shown(evidence, "vrf red"), said.t, at_least=5)
    first = next((line for line in said.text.splitlines() if line.strip()), "")
    wanted = ["Pro", "Inside", "global", "Inside", "local", "Outside", "local", "Outside", "global"]
    found.expect(first.split() == wanted, f"the table begins with {first!r}")
    _expect_same(found, _shown(evidence, "vrf blue"), (), "the other VRF")
    return found.verdict("a VRF's table has its own hosts' entries")


def _expect_simple(found: Findings, evidence: Evidence, shown: set[str], now: float, *, at_least: int) -> None:
    by_host: dict[str, set[str]] = {}
    everybody: set[tuple[str, str]] = set()
    for one in contacts(evidence, now):
        by_host.setdefault(one.inner[0], set()).add(one.outer[0])
        everybody.add((one.inner[0], one.remote[0]))
    require(len(by_host) >= at_least and len(everybody) > len(by_host), f"fewer than {at_least} hosts spoke to several outside")
    for host, outer in by_host.items():
        found.expect(len(outer) == 1, f"{host} was seen outside as {' and as '.join(sorted(outer))}")
    used = [address for outer in by_host.values() for address in outer]
    found.expect(len(set(used)) == len(by_host), "two inside hosts had one outside address")
    _expect_same(found, shown, {f"--- {outer} {host} --- ---" for host, addresses in by_host.items() for outer in addresses})


@check(*SIDES)
def extended_entries_with_overload(evidence: Evidence) -> Verdict:
    """ESN-56: with overload two inside hosts are seen outside by one address; the table has an extended entry for each of their
    talks, with the ports by which either side knows it."""
    now = printed(evidence, NAT, SHOW, "up").t
    seen = contacts(evidence, now)
    require(len({one.inner[0] for one in seen}) > 1, "fewer than two inside hosts spoke")
    require({one.protocol for one in seen} >= {"tcp", "udp"}, "hosts did not speak both TCP and UDP")
    found = Findings(shown=sorted(_shown(evidence)))
    for one in seen:
        found.expect(one.outer[0] == evidence.nat_outside, f"{one.inner[0]} was seen outside as {one.outer[0]}")
    _expect_same(found, _shown(evidence), (one.line for one in seen))
    return found.verdict("inside hosts share one outside address, and each talk has its entry")


@check(*SIDES)
def verbose_tells_ages(evidence: Evidence) -> Verdict:
    """ESN-57: the verbose view tells how long ago each entry of TCP and UDP was made and used last, and that it is extended."""
    command = f"{SHOW} verbose"
    now = printed(evidence, NAT, command, "up").t
    seen = {one.line: one for one in contacts(evidence, now)}
    table = rows(evidence, NAT, command, "up")
    require(bool(table), "the table is empty")
    require(any(now - one.last > 10 * SLACK_S for one in seen.values()), "no entry was old enough to tell its ages from others'")
    found = Findings()
    for row in table:
        line = (
            f"{row.protocol} {row.inside_global}:{row.inside_global_port} {row.inside_local}:{row.inside_local_port} "
            f"{row.outside_local}:{row.outside_local_port} {row.outside_global}:{row.outside_global_port}"
        )
        known = found.expect(line in seen, f"the table has `{line}`, which nobody's packets made")
        if not known or not found.expect(row.details is not None, f"nothing is told below `{line}`"):
            continue
        one = seen[line]
        for what, says, is_ in (("create", row.details.create_s, now - one.first), ("use", row.details.use_s, now - one.last)):
            fits = says is not None and abs(says - is_) <= SLACK_S
            found.expect(fits, f"{what} of `{line}` is told as {says} s, and by its hosts it is {is_:.0f} s")
        found.expect("extended" in row.details.flags, f"`{line}` is not flagged as extended")
    found.expect(len(table) == len(seen), f"{len(table)} entries are told of, and there are {len(seen)}")
    return found.verdict("ages and flags of every entry fit its packets")


# What clearing does


def _came(evidence: Evidence, name: str) -> dict[str, bool]:
    """Of what the outside hosts sent in that step: by sender, whether it got in."""
    at = step(evidence, name)
    found = {sent.data["src"]: got is not None for sent, got in arrived(evidence, since=at.began, until=at.ended)}
    require(set(found) == {DNS, TELNET, TELNET_2}, f"not every outside host sent something once {name}")
    return found


def _was_in(evidence: Evidence, *hosts: str) -> None:
    """Those could send to their inside hosts before anything was cleared."""
    at = step(evidence, "talk")
    came = {one.data["src"] for one in told(evidence, "got", since=at.began, until=at.ended)}
    for host in hosts:
        require(host in came, f"nothing of {host} got in before the clear either")


def _takes(evidence: Evidence, command: str, before: str, label: str, gone: str, who: str) -> Verdict:
    """Clearing takes the one entry with `gone` in its line and no other, and what `who` then sends does not get in."""
    said = printed(evidence, NAT, command, label)
    require(not said.refused, f"the NAT refused {command!r}: {said.refused}")
    _was_in(evidence, who)
    old, new = _shown(evidence, label=before), _shown(evidence, label=label)
    named = {line for line in old if gone in line}
    require(len(named) == 1 and len(old) > 1, f"before the clear {len(named)} of {len(old)} entries were the named one")
    found = Findings(cleared=sorted(named), left=sorted(new))
    _expect_same(found, new, old - named, "the table after the clear")
    were, are = _came(evidence, before) if before != "up" else {who: True}, _came(evidence, label)
    require(were[who], f"what {who} sent did not get in before")
    found.expect(not are[who], f"what {who} sends still gets in")
    others = [host for host in (DNS, TELNET, TELNET_2) if any(f" {host}:" in line for line in old - named)]
    for host in others:
        found.expect(are[host], f"what {host} sends does not get in any more")
    return found.verdict(f"the entry of {who} was cleared, and no other")


@check(*SIDES)
def clear_one_udp_entry(evidence: Evidence) -> Verdict:
    """ESN-59: the document's example takes the one entry of UDP; the two of TCP stay, and what they are for still gets in."""
    inner = "192.168.1.95"
    command = f"{CLEAR} udp inside {evidence.nat_outside} 1220 {inner} 1220 {DNS} 53 {DNS} 53"
    return _takes(evidence, command, "refused", "udp cleared", "udp ", DNS)


@check(*SIDES)
def clear_by_the_outside(evidence: Evidence) -> Verdict:
    """ESN-62: `clear ip nat translation outside` takes the entry of the outside host that it names, and no other; `… esp outside …`
    the entries of ESP towards the gateway that it names."""
    if told(evidence, "placed"):  # there are endpoints
        return _esp_of_one_gateway(evidence)
    return _takes(evidence, f"{CLEAR} outside {TELNET} {TELNET}", "udp cleared", "outside cleared", f" {TELNET}:", TELNET)


def _esp_of_one_gateway(evidence: Evidence) -> Verdict:
    kept, named = endpoint(evidence, "east-1"), endpoint(evidence, "east-2")
    command = f"{CLEAR} esp outside {named} {named}"
    said = printed(evidence, NAT, command)
    require(not said.refused, f"the NAT refused {command!r}: {said.refused}")
    old, new = _shown(evidence, "esp"), _shown(evidence, "esp", "cleared")
    its = {line for line in old if f" {named}:" in line}
    require(bool(its) and bool(old - its), f"before the clear {len(its)} of {len(old)} entries were of {named}")
    found = Findings(cleared=sorted(its), left=sorted(new))
    _expect_same(found, new, old - its, "the table after the clear")
    for name, address, in_ in (("east-1", kept, True), ("east-2", named, False)):
        at = step(evidence, f"from {name}")
        outside, inside = (
            frames(evidence, FrameKind.ESP, side=side, since=at.began, until=at.ended, src=address)
            for side in (Side.OUTSIDE, Side.INSIDE)
        )
        require(bool(outside), f"{name} sent no ESP after the clear")
        fault = "does not get in any more" if in_ else "still gets in"
        found.expect(bool(inside) is in_, f"what {name} sends {fault}", *outside, *inside)
    return found.verdict(f"the entries of ESP towards {named} were cleared, and no others")


@check(*SIDES)
def clear_needs_privilege(evidence: Evidence) -> Verdict:
    """ESN-64: in user mode `clear ip nat translation *` is refused and takes nothing; in the privileged mode it takes all."""
    command = f"{CLEAR} *"
    require(not printed(evidence, NAT, "disable", "refused").refused, "the NAT did not leave the privileged mode")
    said = printed(evidence, NAT, command, "refused")
    _was_in(evidence, DNS, TELNET, TELNET_2)
    require(not printed(evidence, NAT, command, "all cleared").refused, "the NAT refused it in the privileged mode, too")
    require(_came(evidence, "outside cleared")[TELNET_2], "there was nothing left to be cleared in the privileged mode")
    require(not _came(evidence, "all cleared")[TELNET_2], "in the privileged mode nothing was cleared either")
    found = Findings(said=said.refused)
    found.expect(bool(said.refused), "the NAT took it in user mode")
    for host, came in _came(evidence, "refused").items():
        found.expect(came, f"what {host} sends does not get in since")
    _expect_same(found, _shown(evidence, label="refused"), _shown(evidence), "the table after the refusal")
    return found.verdict("clearing is refused in user mode, and nothing was cleared")


# Releases


@check(*SIDES)
def releases_of_the_keywords(evidence: Evidence) -> Verdict:
    """ESN-65: `esp` is taken from 12.2(15)T on, `vrf` from 12.2(13)T on, and refused before; the table itself is shown by all."""
    (version,) = rows(evidence, NAT, "show version", "release")
    release = str(version.version)
    require(release == evidence.release, f"the NAT runs {release}, not {evidence.release}")
    seen = {one.line for one in contacts(evidence, printed(evidence, NAT, SHOW, "release").t)}
    require(bool(seen) and _shown(evidence, label="release") == seen, "the table without a keyword does not show what was seen")
    parsed = ios_releases.parse(release)
    wanted = DOCUMENTED.get(release) or {more: ios_releases.has(name, parsed) for more, name in NO_FORM_OF.items()}
    found = Findings(release=release, has=dict(wanted))
    for more, there in wanted.items():
        refused = printed(evidence, NAT, f"{SHOW} {more}", "release").refused
        found.expect(bool(refused) is not there, f"IOS {release} {'refuses' if refused else 'takes'} `{SHOW} {more}`")
    return found.verdict(f"IOS {release} has the keywords that the document says")


CHECKS: Mapping[str, RouterCheck] = {
    "ESN-54": filters_show_their_own,
    "ESN-55": simple_entries_without_overload,
    "ESN-56": extended_entries_with_overload,
    "ESN-57": verbose_tells_ages,
    "ESN-58": a_vrfs_table,
    "ESN-59": clear_one_udp_entry,
    "ESN-62": clear_by_the_outside,
    "ESN-64": clear_needs_privilege,
    "ESN-65": releases_of_the_keywords,
}
