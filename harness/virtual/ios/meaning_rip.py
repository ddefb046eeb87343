"""What `router rip` means for the callers' links. Pure. Version 2 is served, without summaries: with `no auto-summary` or not,
networks are told as they are."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from harness.virtual.ios import meaning
from harness.virtual.ios.configuration import Entry
from harness.virtual.rip import RipConfig


def rip(tree: Entry, lacks: list[str]) -> RipConfig | None:
    """None where RIP is not configured, or the interface that lends the links its address is in none of its networks. Adds to
    `lacks` what is not served."""
    process = tree.first("router rip")
    if process is None:
        return None
    if process.value("version") != "2":
        lacks.append("router rip: version 2 alone is served")
        return None
    own = tuple(_classful(entry.words[1]) for entry in process.find("network"))
    template = next((one for one in tree.find("interface") if one.words[1].startswith("Virtual-Template")), None)
    lender = meaning.address_of(None if template is None else meaning.lender(tree, template))
    if template is None or lender is None or not any(lender.ip in network for network in own):
        return None
    found = (meaning.address_of(one) for one in tree.find("interface") if not one.has("shutdown"))
    told = {one.network for one in found if one is not None and any(one.ip in network for network in own)}
    passive = process.has("passive-interface default") or process.has(f"passive-interface {template.words[1]}")
    return RipConfig(str(lender.ip), tuple(sorted(told)), passive)


def _classful(address: str) -> IPv4Network:
    """Class A, B or C by the first bits, as `network` takes an address."""
    first = IPv4Address(address).packed[0]
    return IPv4Network(f"{address}/{8 if first < 128 else 16 if first < 192 else 24}", strict=False)
