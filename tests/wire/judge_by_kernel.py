"""Linux's own ESP and AH in a guest, with keys set by hand: it opens our echo request and seals its reply, once a case.

To be run inside an enclosure; prints, as one JSON object, what became of each case. Each has an address of its own on our side.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import socket
import subprocess
import time
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from harness.errors import ProtocolError
from harness.lab import kernel_modules, packages
from harness.lab.uml import GuestPlan, UmlGuest
from harness.wire import ip
from harness.wire.ah import AhInboundSa, AhOutboundSa
from harness.wire.crypto.digest import INTEGRITY
from harness.wire.esp import ENCRYPTIONS, InboundSa, OutboundSa

THEIRS = "203.0.113.231"
TO_US, TO_THEM = 0x2000, 0x1000  # SPIs, plus the case's number
PATIENCE_S = 60.0  # far more than it takes, but for a busy machine
MODULES = (*kernel_modules.for_gateway("plain"), "ah4", "ecb", "md5", "crypto_null")
CIPHERS = dict.fromkeys(("aes-128", "aes-192", "aes-256"), "cbc(aes)")
CIPHERS |= {"3des": "cbc(des3_ede)", "des": "cbc(des)", "null": "ecb(cipher_null)"}
ICV_BITS = {name: row.icv_size * 8 for name, row in INTEGRITY.items()}  # for SHA-256, Linux would cut to 96 of itself


@dataclass(frozen=True)
class Case:
    """`encryption` "" is AH."""

    number: int
    mode: str
    encryption: str
    authentication: str

    @property
    def title(self) -> str:
        return f"{self.mode} {self.encryption or 'AH'} {self.authentication}"

    @property
    def address(self) -> str:
        return f"203.0.113.{self.number}"

    @property
    def protocol(self) -> int:
        return 50 if self.encryption else 51

    @property
    def keys(self) -> tuple[bytes, bytes]:
        size = ENCRYPTIONS[self.encryption].key if self.encryption else 0
        return bytes(range(1, size + 1)), bytes(range(65, 65 + INTEGRITY[self.authentication].key_size))


PAIRS = [("", mac) for mac in INTEGRITY]
PAIRS += [("des", "md5"), ("3des", "sha1"), ("aes-128", "sha1"), ("aes-192", "md5"), ("aes-256", "sha256"), ("null", "sha1")]
CASES = [Case(number, mode, *pair) for number, (mode, pair) in enumerate(product(("transport", "tunnel"), PAIRS), start=1)]


@dataclass(frozen=True)
class Tap:
    netns: str = ""
    kind: str = "tap"
    interface: str = "gw0"


def orders(case: Case) -> str:
    """What the guest's `ip -batch` reads."""
    key, auth = case.keys
    algorithms = f'auth-trunc "hmac({case.authentication})" 0x{auth.hex()} {ICV_BITS[case.authentication]}'
    if case.encryption:
        algorithms += f' enc "{CIPHERS[case.encryption]}" "{"0x" + key.hex() if key else ""}"'
    proto = "esp" if case.encryption else "ah"
    flag = "" if case.encryption else "flag align4"  # whole words of 4 bytes, as RFC 4302 §2.6 has it for IPv4; Linux's own is 8
    lines = []
    for source, target, spi, way in (
        (case.address, THEIRS, TO_THEM + case.number, "in"),
        (THEIRS, case.address, TO_US + case.number, "out"),
    ):
        lines.append(f"xfrm state add src {source} dst {target} proto {proto} spi {spi} mode {case.mode} {flag} {algorithms}")
        tunnel = f"src {source} dst {target} " if case.mode == "tunnel" else ""
        template = f"tmpl {tunnel}proto {proto} mode {case.mode} level required"
        lines.append(f"xfrm policy add src {source}/32 dst {target}/32 dir {way} {template}")
    return "\n".join(lines) + "\n"


def seal(case: Case, inner: bytes) -> bytes:
    """The IP packet that goes out: the echo in it is `inner`, a whole IP packet."""
    key, auth = case.keys
    spi = TO_THEM + case.number
    if not case.encryption:
        sa = AhOutboundSa(spi, case.authentication, auth)
        return sa.seal_tunnel(case.address, THEIRS, inner, identification=9) if case.mode == "tunnel" else sa.seal(inner)
    out = OutboundSa(spi, case.encryption, case.authentication, key, auth, os.urandom)
    sealed = out.seal(4, inner) if case.mode == "tunnel" else out.seal(ip.ICMP, inner[20:])
    return ip.build_ipv4(case.address, THEIRS, 50, sealed, identification=9)


def opened(case: Case, packet: bytes) -> bytes:
    """The ICMP message in what came back."""
    key, auth = case.keys
    spi = TO_US + case.number
    if not case.encryption:
        return ip.parse_ipv4(AhInboundSa(spi, case.authentication, auth).open(packet)).payload
    next_header, payload = InboundSa(spi, case.encryption, case.authentication, key, auth).open(ip.parse_ipv4(packet).payload)
    if case.mode == "tunnel":
        assert next_header == 4
        return ip.parse_ipv4(payload).payload
    assert next_header == ip.ICMP
    return payload


def talk(case: Case) -> dict[str, Any]:
    echo = ip.Echo(True, case.number, 1, bytes(range(100 + case.number)))
    inner = ip.build_ipv4(case.address, THEIRS, ip.ICMP, ip.build_echo(echo), identification=3)
    with (
        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as out,
        socket.socket(socket.AF_INET, socket.SOCK_RAW, case.protocol) as back,
    ):
        back.bind((case.address, 0))
        out.sendto(seal(case, inner), (THEIRS, 0))
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            if not select.select([back], [], [], end - time.monotonic())[0]:
                break
            try:
                reply = ip.parse_echo(opened(case, back.recv(65536)))
            except ProtocolError as error:
                return {"refused": str(error)}
            return {"answered": reply == ip.Echo(False, echo.identifier, echo.sequence, echo.payload)}
    return {"answered": None}


async def play() -> dict[str, Any]:
    lines = ["tuntap add dev gw0 mode tap", "link set gw0 up", "link set lo up"]
    lines += [f"address add {case.address}/24 dev gw0" for case in CASES]
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines) + "\n", text=True, check=True)
    scratch = Path("/tmp/guest")
    scratch.mkdir()
    guest = UmlGuest(GuestPlan("gateway", Tap(), scratch, [f"{THEIRS}/24"], packages.guest_directory(), modules=MODULES))
    await guest.start()
    results = {}
    try:
        for case in CASES:
            set_up = await guest.execute(f"ip -batch - <<'END'\n{orders(case)}END\n", 60)
            assert set_up.status == 0, f"{case.title}: {set_up.output}"
            results[case.title] = await asyncio.to_thread(talk, case)
        results["errors"] = (await guest.execute("awk '$2 != 0' /proc/net/xfrm_stat", 60)).output.strip()
    finally:
        await guest.stop()
    return results


if __name__ == "__main__":
    print(json.dumps(asyncio.run(play()), indent=1))
