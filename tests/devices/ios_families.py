"""What the tests of all parsers share: for each family its samples, what begins a row, which rows are the same, and how a long
text of it is made."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SAMPLES = Path(__file__).parent / "samples" / "ios"
HEADING = "Pro Inside global      Inside local       Outside local      Outside global\n"
TUNNELS = (
    "LocTunID   RemTunID   Remote Name   State  Remote Address  Sessn L2TP Class/\n"
    "                                                           Count VPDN Group \n"
)
SESSIONS = (
    "LocID      RemID      TunID      Username, Intf/      State  Last Chg Uniq ID   \n"
    "                                 Vcid, Circuit                                  \n"
)


@dataclass(frozen=True)
class Family:
    """`begins` matches the line with which a row begins; `same(row)` is what of a row stands on its first lines, so that it is
    there however little follows; `long(n)` is a text of n rows, the same but for their numbers; `nothing` are answers without a
    row."""

    command: str
    folder: str
    begins: str
    same: Callable[[Any], Any]
    long: Callable[[int], str]
    nothing: tuple[str, ...]

    def samples(self) -> list[Path]:
        return sorted((SAMPLES / self.folder).glob("*.txt"))

    def count(self, text: str) -> int:
        return len(re.findall(self.begins, text, re.MULTILINE))


def _crypto_map(n: int) -> str:
    entry = (
        'Crypto Map "M" {0} ipsec-isakmp\n\tPeer = 10.1.{1}.{2}\n\tExtended IP access list {0}\n'
        "\tCurrent peer: 10.1.{1}.{2}\n"
        "\tSecurity association lifetime: 4608000 kilobytes/3600 seconds\n\tPFS (Y/N): N\n\tTransform sets={{ \n\t\tTS1, \n\t}}\n\n"
    )
    entries = "".join(entry.format(one, one // 250, one % 250) for one in range(1, n + 1))
    return entries + "\tInterfaces using crypto map M:\n\t\tFastEthernet0/0\n"


def _sockets(n: int) -> str:
    socket = (
        "   Tu{0} Peers (local/remote): 10.0.0.1/10.1.{1}.{2}\n"
        "       Local Ident  (addr/mask/port/prot): (10.0.0.1/255.255.255.255/0/47)\n"
        "       Remote Ident (addr/mask/port/prot): (10.1.{1}.{2}/255.255.255.255/0/47)\n"
        '       IPSec Profile: "P"\n       Socket State: Open\n       Client: "TUNNEL SEC" (Client State: Active)\n'
    )
    sockets = "".join(socket.format(one, one // 250, one % 250) for one in range(n))
    return f"\nNumber of Crypto Socket connections {n}\n\n{sockets}"


def _dynamic_map(n: int) -> str:
    entry = (
        'Crypto Map Template"D" {0}\n\tNo matching address list set.\n'
        "\tSecurity association lifetime: 4608000 kilobytes/600 seconds\n\tPFS (Y/N): N\n\tTransform sets={{ \n\t\tTS1, \n\t}}\n\n"
    )
    return "".join(entry.format(one) for one in range(1, n + 1))


def _ipsec_sa(n: int) -> str:
    sample = (SAMPLES / "ipsec_sa" / "12.4-nat-t.txt").read_text()
    first = sample.index("   protected vrf")
    second = sample.index("   protected vrf", first + 1)
    head, flow = sample[:first], sample[first:second]
    return head + "".join(flow.replace("/17/1024)", f"/17/{1024 + one})") for one in range(n))


def _sessions(n: int) -> str:
    session = (
        "\nInterface: Virtual-Access{0}\nSession status: UP-ACTIVE     \nPeer: 203.0.113.232 port {1} \n"
        "  IKE SA: local 203.0.113.231/4500 remote 203.0.113.232/{1} Active \n"
        "  IPSEC FLOW: permit 17 host 203.0.113.231 port 1701 host 203.0.113.232 port {1} \n"
        "        Active SAs: 2, origin: dynamic crypto map\n"
    )
    return "Crypto session current status\n" + "".join(session.format(one, 1024 + one) for one in range(n))


def translations(n: int) -> str:
    row = "udp 203.0.113.232:{0}  10.0.{1}.{2}:1701   203.0.113.231:1701 203.0.113.231:1701\n"
    return HEADING + "".join(row.format(1024 + one, one // 250, one % 250) for one in range(n))


def _vpdn(n: int) -> str:
    tunnel = "{0:<10} {0:<10} w2k{0:<10} est    203.0.113.232   1     1              \n"
    tunnels = "".join(tunnel.format(one) for one in range(1, n // 2 + 1))
    row = "{0:<10} 1          {0:<10} user{0}, Vi2.{0:<7} est    00:10:09 {0:<10}\n"
    sessions = "".join(row.format(one) for one in range(1, n - n // 2 + 1))
    head = f"L2TP Tunnel and Session Information Total tunnels {n // 2} sessions {n - n // 2}\n\n"
    return head + TUNNELS + tunnels + "\n" + SESSIONS + sessions + "\n"


def _running_config(n: int) -> str:
    maps = "".join(f"crypto dynamic-map D {one}\n set nat demux\n set transform-set TS1 \n!\n" for one in range(1, n + 1))
    return "Building configuration...\n\nCurrent configuration : 99999 bytes\n!\n" + maps + "end\n"


def _row(row: Any) -> Any:
    return row


FAMILIES = (
    Family(
        "show crypto map", "crypto_map", r'^\s*Crypto Map (?:IPv4 )?"',
        lambda row: (row.name, row.sequence, row.peers, row.permits),
        _crypto_map, ("No crypto maps found.\n",),
    ),
    Family(
        "show crypto dynamic-map", "dynamic_map", r'^\s*Crypto Map Template"', lambda row: (row.name, row.sequence, row.lifetime_s),
        _dynamic_map, ("No crypto maps found.\n",),
    ),
    Family(
        "show crypto ipsec sa", "ipsec_sa", r"^\s*local +ident", _row, _ipsec_sa, ("\nNo SAs found\n",),
    ),
    Family(
        "show crypto isakmp sa", "isakmp_sa", r"^\s*\S.* (?:QM|MM)_", _row,
        lambda n: "dst             src             state           conn-id    slot\n" + "".join(
            f"203.0.113.231   10.0.{one // 250}.{one % 250}      QM_IDLE           {one}       0\n" for one in range(n)),
        ("dst             src             state           conn-id    slot\n", "IPv4 Crypto ISAKMP SA\n\nIPv6 Crypto ISAKMP SA\n\n"),
    ),
    Family(
        "show crypto isakmp sa detail", "isakmp_sa_detail", r"^\d+ ", lambda row: (row.conn_id, row.local, row.remote, row.left_s),
        lambda n: "IPv4 Crypto ISAKMP SA\n" + "".join(
            f"{one}  203.0.113.231   203.0.113.232   ACTIVE 3des sha    psk  2  00:01:47 DN \n"
            f"       Engine-id:Conn-id =  SW:{one}\n\n"
            for one in range(1, n + 1)),
        ("IPv4 Crypto ISAKMP SA\n\nC-id  Local           Remote          I-VRF  Status Encr Hash   Auth DH Lifetime Cap.\n",),
    ),
    Family(
        "show crypto engine connections active", "crypto_engine", r"^ *\d+ ", _row,
        lambda n: "\n  ID Interface       IP-Address      State  Algorithm           Encrypt  Decrypt\n" + "".join(
            f"{one:4} FastEthernet0/0 10.0.0.13       set    HMAC_SHA+DES_56_CB {one:8} {0:8}\n" for one in range(n)),
        ("\n  ID Interface       IP-Address      State  Algorithm           Encrypt  Decrypt\n", "Crypto Engine Connections\n\n"),
    ),
    Family(
        "show crypto sockets", "crypto_socket", r"^ +\S+ Peers |^Client: ", _row, _sockets,
        ("Number of Crypto Socket connections 0\n", "\nCrypto Sockets in Listen state:\n"),
    ),
    Family(
        "show crypto session", "crypto_session", r"^Interface: ", lambda row: (row.interface, row.peer, row.peer_port), _sessions,
        ("Crypto session current status\n\n",),
    ),
    Family(
        "show ip nat translations", "nat_translations", r"^(?:---|tcp|udp|icmp|esp) ",
        lambda row: (row.protocol, row.inside_global, row.inside_global_port, row.inside_local, row.outside_spi),
        translations, (HEADING, "Total number of translations: 0\n"),
    ),
    Family(
        "show vpdn", "vpdn", r"^\d+ +\d+ +", lambda row: (row.local_id, row.remote_id, row.state), _vpdn,
        ("%No active L2TP tunnels\n%No active L2F tunnels\n", "%%No active L2TP tunnels\n"),
    ),
    Family(
        "show ip local pool", "local_pool", r"^ +(?:\S+ +)?\d+\.\d+\.\d+\.\d+(?:\s|$)", _row,
        lambda n: " Pool                     Begin           End             Free  In use\n" + "".join(
            f" P{one:<24}10.1.{one // 250}.1        10.1.{one // 250}.250      {one:4}       0\n" for one in range(n)),
        (" Pool                     Begin           End             Free  In use\n", "None\n"),
    ),
    Family(
        "show interfaces", "interfaces", r"^\S+ is .*, line protocol is ", lambda row: (row.name, row.status, row.packets_in),
        lambda n: "".join(
            f"Virtual-Access{one} is up, line protocol is up \n  Hardware is Virtual Access interface\n"
            f"     {one} packets input, {one} bytes, 0 no buffer\n     0 packets output, 0 bytes, 0 underruns\n"
            for one in range(n)),
        (),
    ),
    Family(
        "show users", "users", r"^[ *]*\d* (?:con|vty) |^  (?:Vi|unk)", lambda row: type(row), lambda n:
        "  Interface    User               Mode         Idle     Peer Address\n" + "".join(
            f"  Vi2.{one:<9}user{one:<14} PPPoVPDN     -        20.0.{one // 250}.{one % 250}\n" for one in range(n)),
        ("    Line       User       Host(s)              Idle       Location\n",
         "  Interface    User               Mode         Idle     Peer Address\n"),
    ),
    Family(
        "show running-config", "running_config", r"^(?!!|Building|Current|end$)\S",
        lambda row: (type(row), getattr(row, "name", getattr(row, "heading", None))), _running_config,
        ("Building configuration...\n\nCurrent configuration : 7 bytes\n!\nend\n", "!\n"),
    ),
    Family(
        "debug vpdn l2x-events", "debug", r"^(?:\d+: )?(?:\*?Mar|1w2d|\d\d:)", _row,
        lambda n: "".join(f"*Mar  1 00:56:47.295:Tnl {one} L2TP:O SCCRQ to ebooth02 tnlid 5107\n" for one in range(n)), ("\n",),
    ),
)  # fmt: skip

COMMANDS = {"iosxe-tunnel": "show vpdn tunnel", "iosxe-session": "show vpdn session"}
"""Samples of another command than their family's."""

CASES = [(family, sample) for family in FAMILIES for sample in family.samples()]


def command(family: Family, sample: Path) -> str:
    return COMMANDS.get(sample.stem, family.command)
