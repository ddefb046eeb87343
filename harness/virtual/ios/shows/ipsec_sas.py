"""`show crypto ipsec sa [interface X | map N | peer A]`, in the layouts of 12.2 and of 12.4. Packets are counted over the SAs that
are up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from harness.virtual.ios.configuration import Entry
from harness.virtual.ios.grammar import Match
from harness.virtual.ios.meaning_vpdn import transforms
from harness.virtual.ios.numbers import before_12_4, conn_ids
from harness.virtual.sadb import Sa
from harness.wire import events

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.virtual.ios.router import IosRouter

IV_OCTETS = {"des": 8, "3des": 8}
MODES = {"transport": "Transport", "tunnel": "Tunnel", "udp-transport": "Transport UDP-Encaps", "udp-tunnel": "Tunnel UDP-Encaps"}


def ipsec_sa(router: IosRouter, match: Match) -> list[str]:
    tree = router.state.configuration.tree
    outside = protected(tree)
    if outside is None:
        return ["", "No SAs found"]
    tag, here = outside.value("crypto map") or "", router.core.settings.address
    interface = match.get("interface", "")
    if interface not in ("", outside.words[1]) or match.get("map", tag) != tag:
        return ["", "No SAs found"]
    old = before_12_4(router.state.release)
    lines = ["", f"interface: {outside.words[1]}", f"    Crypto map tag: {tag}, local addr{'.' if old else ''} {here}", ""]
    flows = [sas for sas in _flows(router) if match.get("peer", "") in ("", sas[0].address)]
    for sas in flows:
        lines += _flow(router, sas, tag, outside.words[1], old)
    return lines if flows else [*lines, "No SAs found"]


SHOWS: Mapping[str, Callable[[IosRouter, Match], list[str]]] = {
    "show crypto ipsec sa [interface IFNAME:interface | map WORD:map | peer A.B.C.D:peer]": ipsec_sa,
}


def protected(tree: Entry) -> Entry | None:
    """The interface that has the crypto map."""
    return next((one for one in tree.find("interface") if one.value("crypto map") and not one.has("shutdown")), None)


def _flows(router: IosRouter) -> Iterator[list[Sa]]:
    """The SAs of each peer's socket, oldest first."""
    found: dict[tuple[int, int], list[Sa]] = {}
    for sa in router.core.ipsec.sadb:
        if sa.spi_in in router.core.ipsec.agreed:
            found.setdefault((id(sa.client), sa.port), []).append(sa)
    yield from found.values()


def _flow(router: IosRouter, sas: list[Sa], tag: str, interface: str, old: bool) -> Iterator[str]:
    newest, here = sas[-1], router.core.settings.address
    sent, taken = sum(sa.outbound.sequence for sa in sas), sum(sa.inbound.packets for sa in sas)
    wrong = sum(sa.inbound.unauthentic + sa.inbound.replayed for sa in sas)
    if not old:
        yield "   protected vrf: (none)"
    yield f"   local  ident (addr/mask/prot/port): ({here}/255.255.255.255/17/1701)"
    yield f"   remote ident (addr/mask/prot/port): ({newest.address}/255.255.255.255/17/{newest.port})"
    port = newest.client.udp_port or 500
    yield f"   current_peer: {newest.address}" if old else f"   current_peer {newest.address} port {port}"
    yield "     PERMIT, flags={origin_is_acl,parent_is_transport,}" if old else "     PERMIT, flags={}"
    colon = "" if old else ":"
    yield f"    #pkts encaps: {sent}, #pkts encrypt: {sent}, #pkts digest{colon} {sent}"
    yield f"    #pkts decaps: {taken}, #pkts decrypt: {taken}, #pkts verify{colon} {taken}"
    yield "    #pkts compressed: 0, #pkts decompressed: 0"
    if old:
        yield "    #pkts not compressed: 0, #pkts compr. failed: 0, #pkts decompress failed: 0"
    else:
        yield "    #pkts not compressed: 0, #pkts compr. failed: 0"
        yield "    #pkts not decompressed: 0, #pkts decompress failed: 0"
    yield f"    #send errors 0, #recv errors {wrong}"
    yield ""
    yield f"     local crypto endpt.: {here}, remote crypto endpt.: {newest.address}"
    yield "     path mtu 1500, media mtu 1500" if old else f"     path mtu 1500, ip mtu 1500, ip mtu idb {interface}"
    spi = newest.spi_out
    yield f"     current outbound spi: {spi:08X}" if old else f"     current outbound spi: 0x{spi:X}({spi})"
    yield ""
    for inbound in (True, False):
        for protocol in ("esp", "ah", "pcp"):
            yield f"     {'inbound' if inbound else 'outbound'} {protocol} sas:"
            for sa in sas if protocol == "esp" else ():
                yield from _sa(router, sa, inbound, tag, old)
            yield ""


def _sa(router: IosRouter, sa: Sa, inbound: bool, tag: str, old: bool) -> Iterator[str]:
    up, at = router.core.ipsec.agreed[sa.spi_in]
    spi = sa.spi_in if inbound else sa.spi_out
    pair = router.core.ipsec.numbers[sa.spi_in]
    conn = conn_ids(router.state.release, pair)[0 if inbound else 1]
    flow = 2 * pair + (1 if inbound else 2)
    yield f"      spi: 0x{spi:X}({spi})"
    yield f"        transform: {transforms(up.encryption, up.authentication)} ,"
    yield f"        in use settings ={{{MODES[up.encapsulation]}, }}"
    where = f"slot: 0, conn id: {conn}, flow_id: {flow}" if old else f"conn id: {conn}, flow_id: SW:{flow}"
    yield f"        {where}, crypto map: {tag}"
    yield f"        {_left(router.state.now, sa, up, at, inbound)}"
    yield f"        IV size: {IV_OCTETS.get(up.encryption, 16)} bytes"
    yield "        replay detection support: Y"
    if not old:
        yield "        Status: ACTIVE"


def _left(now: float, sa: Sa, up: events.EspUp, at: float, inbound: bool) -> str:
    seconds = max(0, int(at + up.lifetime_s - now))
    if not up.lifetime_kb:
        return f"sa timing: remaining key lifetime (sec): {seconds}"
    octets = sa.inbound.octets if inbound else sa.outbound.octets
    return f"sa timing: remaining key lifetime (k/sec): ({max(0, up.lifetime_kb - octets // 1024)}/{seconds})"
