"""`show crypto ipsec sa [interface X | map N | peer A]`, in the layouts of 12.2 and of 12.4."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from harness.virtual.ios.configuration import Entry
from harness.virtual.ios.grammar import Match
from harness.virtual.ios.numbers import before_12_4, conn_ids
from harness.virtual.ios.shows.crypto_values import CryptoAccount, FlowShown, SaShown

if TYPE_CHECKING:
    from collections.abc import Callable

IV_OCTETS = {"des": 8, "3des": 8, "null": 0}
MODES = {"transport": "Transport", "tunnel": "Tunnel", "udp-transport": "Transport UDP-Encaps", "udp-tunnel": "Tunnel UDP-Encaps"}


def iv_octets(cipher: str) -> int:
    return IV_OCTETS.get(cipher, 16)


def ipsec_sa(account: CryptoAccount, match: Match) -> list[str]:
    tree = account.state.configuration.tree
    outside = protected(tree)
    if outside is None:
        return ["", "No SAs found"]
    tag, here = outside.value("crypto map") or "", account.address
    interface = match.get("interface", "")
    if interface not in ("", outside.words[1]) or match.get("map", tag) != tag:
        return ["", "No SAs found"]
    old = before_12_4(account.state.release)
    lines = ["", f"interface: {outside.words[1]}", f"    Crypto map tag: {tag}, local addr{'.' if old else ''} {here}", ""]
    flows = [flow for flow in account.flows() if match.get("peer", "") in ("", flow.peer)]
    for flow in flows:
        lines += _flow(account, flow, tag, outside.words[1], old)
    return lines if flows else [*lines, "No SAs found"]


SHOWS: Mapping[str, Callable[[CryptoAccount, Match], list[str]]] = {
    "show crypto ipsec sa [interface IFNAME:interface | map WORD:map | peer A.B.C.D:peer]": ipsec_sa,
}


def protected(tree: Entry) -> Entry | None:
    """The interface that has the crypto map."""
    return next((one for one in tree.find("interface") if one.value("crypto map") and not one.has("shutdown")), None)


def _flow(account: CryptoAccount, flow: FlowShown, tag: str, interface: str, old: bool) -> Iterator[str]:
    here, spi, sent, taken = account.address, flow.spi, flow.sent, flow.taken
    if not old:
        yield "   protected vrf: (none)"
    yield f"   local  ident (addr/mask/prot/port): ({flow.local})"
    yield f"   remote ident (addr/mask/prot/port): ({flow.remote})"
    yield f"   current_peer: {flow.peer}" if old else f"   current_peer {flow.peer} port {flow.peer_port}"
    yield f"     PERMIT, flags={{{flow.flags[0 if old else 1]}}}"
    colon = "" if old else ":"
    yield f"    #pkts encaps: {sent}, #pkts encrypt: {sent}, #pkts digest{colon} {sent}"
    yield f"    #pkts decaps: {taken}, #pkts decrypt: {taken}, #pkts verify{colon} {taken}"
    yield "    #pkts compressed: 0, #pkts decompressed: 0"
    if old:
        yield "    #pkts not compressed: 0, #pkts compr. failed: 0, #pkts decompress failed: 0"
    else:
        yield "    #pkts not compressed: 0, #pkts compr. failed: 0"
        yield "    #pkts not decompressed: 0, #pkts decompress failed: 0"
    yield f"    #send errors 0, #recv errors {flow.wrong}"
    yield ""
    yield f"     local crypto endpt.: {here}, remote crypto endpt.: {flow.peer}"
    yield "     path mtu 1500, media mtu 1500" if old else f"     path mtu 1500, ip mtu 1500, ip mtu idb {interface}"
    yield f"     current outbound spi: {f'{spi:08X}' if spi else '0'}" if old else f"     current outbound spi: 0x{spi:X}({spi})"
    yield ""
    for inbound in (True, False):
        for protocol in ("esp", "ah", "pcp"):
            yield f"     {'inbound' if inbound else 'outbound'} {protocol} sas:"
            for sa in flow.sas:
                if (sa.inbound, sa.protocol) == (inbound, protocol):
                    yield from _sa(account.state.release, sa, tag, old)
            yield ""


def _sa(release: str, sa: SaShown, tag: str, old: bool) -> Iterator[str]:
    conn = conn_ids(release, sa.pair)[0 if sa.inbound else 1]
    flow = 2 * sa.pair + (1 if sa.inbound else 2)
    yield f"      spi: 0x{sa.spi:X}({sa.spi})"
    yield f"        transform: {sa.transform} ,"
    yield f"        in use settings ={{{sa.settings}, }}"
    where = f"slot: 0, conn id: {conn}, flow_id: {flow}" if old else f"conn id: {conn}, flow_id: SW:{flow}"
    yield f"        {where}, crypto map: {tag}"
    yield f"        {_left(sa)}"
    if sa.iv_octets is not None:
        yield f"        IV size: {sa.iv_octets} bytes"
    yield f"        replay detection support: {'Y' if sa.replay else 'N'}"
    if not old:
        yield "        Status: ACTIVE"


def _left(sa: SaShown) -> str:
    if sa.left is None:
        return "no sa timing"
    kilobytes, seconds = sa.left
    if kilobytes is None:
        return f"sa timing: remaining key lifetime (sec): {seconds}"
    return f"sa timing: remaining key lifetime (k/sec): ({kilobytes}/{seconds})"
