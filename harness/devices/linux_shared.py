"""A Linux gateway on a device that is somebody's: what of theirs forbids a run there, what is stopped for it, and how what is ours
goes again without what is theirs. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.devices import linux_marked, linux_units
from harness.devices.linux_config import OWN_FOLDER
from harness.devices.linux_rules import PREFIX
from harness.devices.linux_view import announce, sections

DAEMONS = ("xl2tpd", "charon", "charon-systemd")
FOLDERS = ("/run/xl2tpd",)
"""Made by a run, where they are not there already."""

LOOK = "look for tunnels of somebody's"
CURE = "where they are an interrupted run's, natstorm restore; else end them there, or name another box as the gateway"

# By systemd where it keeps them, or it would start them again.
TAKE_OVER = (
    linux_units.UNIT_OF
    + linux_marked.HERE
    + """
for daemon in DAEMONS; do
    for pid in $(here $daemon); do
        [ -e /proc/$pid ] || continue  # its service was stopped with another of its processes
        unit=$(unit_of $pid)
        if [ -n "$unit" ]; then systemctl stop "$unit" || exit 1; else kill $pid; fi
    done
    gone() { [ -z "$(here $daemon)" ]; }
    until_true 10 gone || { echo "$daemon, which ran there, does not end"; exit 1; }
done
""".replace("DAEMONS", " ".join(DAEMONS))
)
EMPTY_LOGS = f"rm -rf {OWN_FOLDER}/log; mkdir -p {OWN_FOLDER}/log || exit 1\n"

# A device with SAs or policies of somebody's was refused, and whoever could make such was stopped: what is there of our address is
# ours, unless somebody has begun IPsec there meanwhile.
_FLUSH = "for end in src dst; do ip xfrm state deleteall $end {address}; ip xfrm policy deleteall $end {address}/32; done"
_NOT_BY = ("charon", "charon-systemd", "pluto", "racoon", "iked")
"""Programs that make SAs, whoever started them."""


def kill(mark: str, address: str) -> str:
    """The script with which the run's daemons die, and their SAs with them."""
    daemons = "$(ours pppd) $(ours charon) $(ours xl2tpd)"
    return f"{linux_marked.functions(mark)}kill -KILL {daemons} 2>/dev/null; {_FLUSH.format(address=address)}\n"


def undo(address: str) -> tuple[str, ...]:
    """Lines that undo what a run makes beside its files, where the device was not started anew since. They find `ours`, `others`
    (linux_marked) and `told`."""
    others = " ".join(f"$(others {name})" for name in _NOT_BY)
    files = "rm -f /run/{name}.pid {more}"
    return (
        'kill -KILL $(ours pppd) 2>/dev/null; for i in {1..50}; do [ -n "$(ours pppd)" ] || break; sleep 0.1; done',
        f'if [ -z "$(echo {others})" ]; then {_FLUSH.format(address=address)}',
        'else told "IPsec SAs and policies are left as they are: somebody else has begun IPsec there meanwhile"; fi',
        f"rm -rf {OWN_FOLDER}; rm -f /run/natstorm.answer.*",
        f"others charon >/dev/null || {files.format(name='charon', more='/run/charon.vici /run/charon.out')}",
        f"others xl2tpd >/dev/null || {files.format(name='xl2tpd', more='/run/xl2tpd/l2tp-control')}",
    )


# What `demux-setup` makes anew.
UNDO_DEMUX = (
    "ip link del demux0 2>/dev/null; ip link del l2tp0 2>/dev/null",
    "ip rule del pref 11 fwmark 0x20000/0x20000 lookup 100 2>/dev/null",
)


@dataclass(frozen=True, slots=True)
class Found:
    """`in_the_way`: phrases that name what a run would destroy. `notes`: sentences on what may keep clients from coming up."""

    in_the_way: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def look() -> str:
    """The script that asks, and changes nothing. No command line is shown: pppd's may hold a password."""
    parent = 'ppid=$(sed -n "s/^PPid:\\t//p" /proc/$pid/status) && echo "$pid $(< /proc/$ppid/comm)"'
    spared = 'unit=$(spared $pid) && [ -n "$unit" ] && echo "$daemon $pid $unit"'
    each = f"for pid in $(here $daemon); do {spared}; done"
    return "\n".join(
        [
            f"{announce('states')}; ip xfrm state list nokeys || exit 1",
            f"{announce('policies')}; ip xfrm policy || exit 1",
            linux_units.UNIT_OF,
            linux_marked.HERE,
            f"{announce('spared')}; for daemon in {' '.join(DAEMONS)}; do {each}; done 2>/dev/null",
            f"{announce('pppd')}; for pid in $(here pppd); do {parent}; done 2>/dev/null",
            # Neither is asked where it is not in use: to ask iptables would load its modules.
            f"{announce('iptables')}; ! grep -q . /proc/net/ip_tables_names 2>/dev/null || iptables-legacy-save",
            f"{announce('nftables')}; nft -s list ruleset 2>/dev/null",
            "true\n",
        ]
    )


def read(text: str) -> Found:
    found = sections(text)
    states = re.findall(r"^src (\S+) dst (\S+)", found.get("states", ""), re.MULTILINE)
    # Those of a socket are its owner's alone: an idle charon has some.
    policies = re.findall(r"^src (\S+) dst (\S+).*\n\s+dir ", found.get("policies", ""), re.MULTILINE)
    links = re.findall(r"^(\d+) (.*)$", found.get("pppd", ""), re.MULTILINE)
    way = [_of(states, "IPsec SA", "IPsec SAs")] if states else []
    way += [_of(policies, "IPsec policy", "IPsec policies")] if policies else []
    way += [f"pppd {pid}, which {parent or 'somebody'} has started" for pid, parent in links]
    rules = filters(found.get("iptables", ""), found.get("nftables", ""))
    return Found(tuple(way), (*map(_spared, found.get("spared", "").splitlines()), *rules))


def filters(iptables: str, nftables: str) -> tuple[str, ...]:
    """A sentence on each packet filter of somebody's that drops or rejects anything, from iptables-save and `nft list ruleset`."""
    said = []
    theirs = [line for line in iptables.splitlines() if PREFIX not in line]
    if any(re.search(r"^:\S+ DROP|-j (DROP|REJECT)\b", line) for line in theirs):
        said.append("iptables (legacy) has rules of somebody's that drop or reject packets")
    for family, name, body in re.findall(r"^table (\S+) (\S+) \{$(.*?)^\}$", nftables, re.MULTILINE | re.DOTALL):
        if "type filter hook" in body and re.search(r"\b(drop|reject)\b", body):
            said.append(f"nftables table {family} {name} drops or rejects packets")
    return tuple(f"{one}; it stays, so see that it lets UDP 500 and 4500 and what clients send in tunnels pass" for one in said)


def _spared(line: str) -> str:
    daemon, pid, unit = line.split()
    return f"{daemon} (process {pid}) runs in {unit}, which stays: it is ended by itself, and started again by its command line"


def _of(rows: list[tuple[str, str]], one: str, many: str) -> str:
    named = [f"{source} to {destination}" for source, destination in rows]
    more = f" and {len(named) - 4} more" if len(named) > 4 else ""
    return f"{len(rows)} {one if len(rows) == 1 else many} of somebody's ({', '.join(named[:4])}{more})"
