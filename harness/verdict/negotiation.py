"""What IKE agreed: NAT-Traversal announced, the NAT found out by both, transport mode in UDP, and for which two ends."""

from __future__ import annotations

import hashlib
import ipaddress

from harness.model import Observation, RecordKind, Side, Verdict
from harness.verdict.findings import Findings, require
from harness.verdict.reading import Reading, ike
from harness.verdict.trust import WIRE, Need, check

NATT_VENDOR_IDS = {
    "4a131c81070358455c5728f20e95452f": "RFC 3947",
    "7d9419a65310ca6f2c179d9215529d56": "draft-ietf-ipsec-nat-t-ike-03",
    "90cb80913ebb696e086381b5ec427b1f": "draft-ietf-ipsec-nat-t-ike-02\\n",
    "cd60464335df21f87cfdb2fc68b6a448": "draft-ietf-ipsec-nat-t-ike-02",
}
"""The vendor IDs that announce NAT-Traversal: MD5 of the documents' names (RFC 3947 section 3.1)."""

UDP_TRANSPORT = 4
"""UDP-Encapsulated-Transport (RFC 3947 section 5.1)."""

UDP_TRANSPORT_DRAFT = 61444
"""The same in the drafts' private range: right only where nothing but a draft was announced."""

IKE_PORT, NATT_PORT, L2TP_PORT, UDP = 500, 4500, 1701, 17

_HASHES = {32: "md5", 40: "sha1", 64: "sha256", 96: "sha384", 128: "sha512"}


def nat_d(icookie: str, rcookie: str, address: str, port: int, hex_digits: int) -> str | None:
    """The NAT-D hash of one end, HASH(CKY-I | CKY-R | IP | Port) (RFC 3947 section 3.2), in hexadecimal.

    The hash is the one main mode agreed, told by its length in `hex_digits`; None where no hash has that length.
    """
    name = _HASHES.get(hex_digits)
    if name is None:
        return None
    data = bytes.fromhex(icookie) + bytes.fromhex(rcookie) + ipaddress.ip_address(address).packed + port.to_bytes(2)
    return hashlib.new(name, data, usedforsecurity=False).hexdigest()


@check(*WIRE)
def both_announce_nat_traversal(reading: Reading) -> Verdict:
    """MM1 and MM2 of every client carry a NAT-Traversal vendor ID, and share one."""
    f = Findings()
    for client in _starters(reading):
        _expect_announced(f, reading, client)
    return f.verdict(f"both sides announce NAT-Traversal: {f.facts}")


@check(*WIRE)
def nat_d_shows_the_nat(reading: Reading) -> Verdict:
    """MM3 and MM4 carry NAT-D; the client's end does not match what the gateway sees, the gateway's own end does."""
    f = Findings()
    for client in _starters(reading):
        _expect_nat_d(f, reading, client)
    return f.verdict("NAT-D of every client mismatches on the side behind the NAT, and on that side only")


@check(*WIRE, Need.DECRYPTED)
def both_know_of_the_nat_after_mm4(reading: Reading) -> Verdict:
    """From MM5 on both act on it: the client floats, the gateway follows and agrees UDP encapsulation."""
    f = Findings()
    for client in _starters(reading):
        _expect_nat_d(f, reading, client)
        _expect_acted_on(f, reading, client)
    return f.verdict("both ends act on the NAT from MM5 on")


@check(*WIRE, Need.DECRYPTED)
def nat_is_recognised_by_both_ends(reading: Reading) -> Verdict:
    """The whole of it: announced in MM1 and MM2, found in MM3 and MM4, acted upon from MM5; the client's own account agrees."""
    f = Findings()
    for client in _starters(reading):
        _expect_announced(f, reading, client)
        _expect_nat_d(f, reading, client)
        _expect_acted_on(f, reading, client)
        said = reading.records(client, RecordKind.IKE_UP)
        if said:
            f.expect(bool(said[0].data.get("nat_local")), f"{client} says that it is behind no NAT")
            f.expect(not said[0].data.get("nat_remote"), f"{client} says that the gateway is behind a NAT")
    return f.verdict("NAT-T announced by both, NAT found by both, port 4500 from MM5")


@check(*WIRE, Need.DECRYPTED)
def transport_mode_in_udp_is_requested(reading: Reading) -> Verdict:
    """QM1 proposes ESP in UDP-encapsulated transport mode and nothing else, and QM2 takes it."""
    f = Findings()
    for client in _starters(reading):
        shared = _vendor_ids(reading, client, "MM1") & _vendor_ids(reading, client, "MM2")
        right = UDP_TRANSPORT if NATT_VENDOR_IDS["4a131c81070358455c5728f20e95452f"] in shared else UDP_TRANSPORT_DRAFT
        for name in ("QM1", "QM2"):
            o = reading.first_ike(client, name)
            if not f.expect(o is not None, f"{client}'s {name} was not seen"):
                continue
            assert o is not None
            proposals = list(ike(o, "proposals") or ())
            f.expect(bool(proposals), f"{client}'s {name} holds no proposal", o)
            for p in proposals:
                f.expect(str(p.get("protocol")).upper() == "ESP", f"{client}'s {name} proposes {p.get('protocol')}", o)
                f.expect(
                    p.get("encapsulation") == right, f"{client}'s {name} has encapsulation {p.get('encapsulation')}, not {right}", o
                )
            f.facts.setdefault("encapsulation", {})[f"{client} {name}"] = sorted({str(p.get("encapsulation")) for p in proposals})
    return f.verdict("every client asks for UDP-encapsulated transport mode, and gets it")


@check(*WIRE, Need.DECRYPTED)
def proxies_are_inside_address_and_gateway(reading: Reading) -> Verdict:
    """The IDs of QM1: the client's address before the NAT and the gateway's, UDP 1701. An FQDN in the first place is noted only."""
    f = Findings()
    for client in _starters(reading):
        o = reading.first_ike(client, "QM1")
        if not f.expect(o is not None, f"{client}'s QM1 was not seen"):
            continue
        assert o is not None
        ids = list(ike(o, "ids") or ())
        f.facts[client] = [f"{i.get('type')} {i.get('value')} {i.get('protocol')}/{i.get('port')}" for i in ids]
        if not f.expect(len(ids) == 2, f"{client}'s QM1 holds {len(ids)} IDs", o):
            continue
        ends = (("IDci", reading.identities[client].inside), ("IDcr", reading.evidence.gateway_address))
        for identity, (name, address) in zip(ids, ends, strict=True):
            if name == "IDci" and "FQDN" in str(identity.get("type")):
                continue
            f.expect(identity.get("value") == address, f"{client}'s {name} is {identity.get('value')}, not {address}", o)
            f.expect(
                (identity.get("protocol"), identity.get("port")) == (UDP, L2TP_PORT),
                f"{client}'s {name} is for {identity.get('protocol')}/{identity.get('port')}, not {UDP}/{L2TP_PORT}",
                o,
            )
    return f.verdict(f"proxies run from each client's inside address to {reading.evidence.gateway_address}")


def _starters(reading: Reading) -> tuple[str, ...]:
    """The clients whose main mode began; all of them must, or the run exercised too little."""
    for client in reading.clients:
        require(client in reading.identities, f"the captures do not show who {client} is")
        require(reading.first_ike(client, "MM1") is not None, f"{client} never sent its first message to the gateway")
    return reading.clients


def _vendor_ids(reading: Reading, client: str, message: str) -> set[str]:
    o = reading.first_ike(client, message)
    found = () if o is None else ike(o, "vendor_ids") or ()
    return {NATT_VENDOR_IDS[v] for v in found if v in NATT_VENDOR_IDS}


def _expect_announced(f: Findings, reading: Reading, client: str) -> None:
    for message in ("MM1", "MM2"):
        o = reading.first_ike(client, message)
        if f.expect(o is not None, f"{client}'s {message} was not seen"):
            f.expect(bool(_vendor_ids(reading, client, message)), f"{client}'s {message} does not announce NAT-Traversal", o)
    shared = _vendor_ids(reading, client, "MM1") & _vendor_ids(reading, client, "MM2")
    f.facts.setdefault("announced", {})[client] = sorted(shared)
    f.expect(bool(shared), f"{client} and the gateway share no version of NAT-Traversal")


def _expect_nat_d(f: Findings, reading: Reading, client: str) -> None:
    """RFC 3947 section 3.2: the first NAT-D is the receiver's end as the sender sees it, the others are the sender's own."""
    gateway, nat = reading.evidence.gateway_address, reading.evidence.nat_outside
    own = reading.identities[client].inside
    for message in ("MM3", "MM4"):
        inside, outside = reading.first_ike(client, message, Side.INSIDE), reading.first_ike(client, message)
        if not f.expect(inside is not None and outside is not None, f"{client}'s {message} was not seen on both sides"):
            continue
        assert inside is not None
        assert outside is not None
        hashes = [str(h) for h in ike(outside, "nat_d") or ()]
        if not f.expect(len(hashes) >= 2, f"{client}'s {message} holds {len(hashes)} NAT-D payloads, not two or more", outside):
            continue
        up = message == "MM3"
        before = _end(outside, own, inside.sport if up else inside.dport, hashes)
        behind = _end(outside, nat, outside.sport if up else outside.dport, hashes)
        peer = _end(outside, gateway, outside.dport if up else outside.sport, hashes)
        for_receiver, for_sender = hashes[0], hashes[1:]
        if up:
            f.expect(for_receiver == peer, f"{client}'s MM3 has a wrong hash for the gateway's end", outside)
            f.expect(before in for_sender, f"{client}'s MM3 has no hash of its own inside address", outside)
            f.expect(behind not in for_sender, f"{client}'s MM3 matches what the gateway sees, as if there were no NAT", outside)
        else:
            f.expect(for_receiver == behind, f"{client}'s MM4 has not the hash of the NAT's address and port", outside)
            f.expect(for_receiver != before, f"{client}'s MM4 matches the client's own end, as if there were no NAT", outside)
            f.expect(peer in for_sender, f"{client}'s MM4 has no hash of the gateway's own end", outside)


def _end(o: Observation, address: str, port: int | None, hashes: list[str]) -> str | None:
    return nat_d(str(ike(o, "icookie")), str(ike(o, "rcookie")), address, port or 0, len(hashes[0]))


def _expect_acted_on(f: Findings, reading: Reading, client: str) -> None:
    for message in ("MM5", "MM6"):
        o = reading.first_ike(client, message, Side.INSIDE)
        if f.expect(o is not None, f"{client}'s {message} was not seen"):
            assert o is not None
            port = o.dport if message == "MM5" else o.sport
            f.expect(port == NATT_PORT, f"{client}'s {message} is on port {port}, not {NATT_PORT}", o)
    o = reading.first_ike(client, "QM2")
    if f.expect(o is not None, f"{client}'s QM2 was not seen"):
        taken = {p.get("encapsulation") for p in ike(o, "proposals") or ()} if o is not None else set()
        f.expect(
            bool(taken) and taken <= {UDP_TRANSPORT, UDP_TRANSPORT_DRAFT},
            f"the gateway agreed {client} no UDP encapsulation: {taken}",
            o,
        )
