"""The NAT: the kernel's own, nftables masquerade and conntrack in a namespace.

`masquerade to :1024-65535`, not the plain form: that one keeps source ports below 512 below 512, so that client 512 from port 500
finds none left. Which port in the range is the kernel's choice; a source port that lies in the range and is free is kept (4500 of
the first client). The NAT drops nothing and rewrites no payload: it has no helpers.
"""

from __future__ import annotations

import re

from harness.errors import LabError
from harness.lab import tools
from harness.lab.namespaces import Netns
from harness.model.testbed import NatSpec
from harness.nat import Mapping

SETTINGS = {
    "net/ipv4/ip_forward": "1",
    # A NAT box does not tell hosts of one link about each other, nor answer for what it has no route to.
    "net/ipv4/conf/all/send_redirects": "0",
    "net/ipv4/conf/default/send_redirects": "0",
    "net/netfilter/nf_conntrack_acct": "1",
}

_PAIR = re.compile(r"(src|dst|sport|dport|packets|bytes)=(\S+)")
_LINE = re.compile(r"(?P<protocol>\w+)\s+\d+\s+(?P<left>\d+)\s+(?P<rest>.*)")


class NatNode:
    """The NAT in namespace `netns`, between `inside_interface` and `outside_interface`, known outside as `outside_address`."""

    def __init__(self, netns: Netns, spec: NatSpec, client_prefix: str) -> None:
        self.netns = netns
        self.inside_interface = spec.inside.name
        self.outside_interface = spec.outside.name
        self.outside_address = spec.outside.host
        self.client_prefix = client_prefix
        self._spec = spec

    def start(self) -> None:
        """Begins to translate and to forward. The interfaces must exist."""
        self.set_ports(self._spec.first_port, self._spec.last_port)
        self.set_udp_timeout(self._spec.udp_timeout_s, self._spec.udp_stream_timeout_s)
        self.netns.sysctl(SETTINGS)

    def stop(self) -> None:
        """The kernel's NAT ends with its namespace: there is no process to end."""

    def trouble(self) -> list[str]:
        """What makes its evidence doubtful: nothing. The kernel's NAT has no queue of its own that could overflow."""
        return []

    def set_ports(self, first: int, last: int) -> None:
        """The outside ports that mappings made from now on get; those that exist stay as they are."""
        # One transaction: there is no moment without the rule.
        rules = (
            "table ip natstorm\n"
            "delete table ip natstorm\n"
            "table ip natstorm {\n"
            "  chain translate {\n"
            "    type nat hook postrouting priority srcnat; policy accept;\n"
            f'    oifname "{self.outside_interface}" ip saddr {self.client_prefix} meta l4proto {{ tcp, udp }}'
            f" masquerade to :{first}-{last}\n"
            f'    oifname "{self.outside_interface}" ip saddr {self.client_prefix} masquerade\n'
            "  }\n"
            "}\n"
        )
        self.netns.run(["nft", "-f", "-"], step="give the NAT its rules", text=rules)

    def set_udp_timeout(self, seconds: int, stream_seconds: int | None = None) -> None:
        """How long a UDP mapping outlives its last packet: before an answer was seen, and after (default: the same)."""
        stream = seconds if stream_seconds is None else stream_seconds
        self.netns.sysctl(
            {
                "net/netfilter/nf_conntrack_udp_timeout": str(seconds),
                "net/netfilter/nf_conntrack_udp_timeout_stream": str(stream),
            }
        )

    def mappings(self, protocol: str = "udp") -> tuple[Mapping, ...]:
        """The table as it is now, by inside address and port."""
        step = "read the NAT's mappings"
        shown = self.netns.run(["conntrack", "-L", "-p", protocol, "-s", self.client_prefix], step=step).stdout
        found = [mapping for line in shown.splitlines() if (mapping := parse(line)) is not None]
        return tuple(sorted(found, key=lambda m: (tuple(map(int, m.inside_address.split("."))), m.inside_port, m.remote_port)))

    def forget(self, inside_address: str | None = None) -> int:
        """The NAT loses its mappings, of one client or of all, as on a restart; how many there were."""
        step = "have the NAT forget its mappings"
        chosen = self.client_prefix if inside_address is None else inside_address
        # Status 1 says that there was none.
        done = self.netns.run(["conntrack", "-D", "-s", chosen], step=step, accept=(0, 1))
        told = re.search(r"(\d+) flow entries have been deleted", done.stderr)
        if told is None:
            raise tools.unexpected(step, done.stderr or done.stdout)
        return int(told[1])

    def forget_everything(self) -> None:
        """The table is emptied, of whatever is in it."""
        self.netns.run(["conntrack", "-F"], step="empty the NAT's table")

    def reboot(self) -> None:
        """What a reboot is to a NAT: its table is gone. Where it was in giving ports, the kernel has not known before."""
        self.forget_everything()

    def renumber(self, outside: str) -> None:
        cure = "a NAT of the project's own: `personality` below the testbed's `nat`"
        raise LabError("renumber the NAT", "masquerade knows no other address than its interface's", cure)

    def flush_neighbours(self) -> None:
        """Forget who has which hardware address: a guest that takes another's place has another."""
        self.netns.ip("neigh", "flush", "all")


def parse(line: str) -> Mapping | None:
    """One line of `conntrack -L`; None for a protocol without ports.

    `udp 17 28 src=10.0.0.2 dst=203.0.113.231 sport=500 dport=500 packets=1 bytes=68 [UNREPLIED] src=203.0.113.231
    dst=203.0.113.232 sport=500 dport=1024 packets=0 bytes=0 mark=0 use=1`: the tuple as it came, then the one an answer will have.
    """
    match = _LINE.match(line)
    if match is None:
        return None
    pairs = _PAIR.findall(match["rest"])
    half = next((number for number, (key, _) in enumerate(pairs) if number and key == "src"), len(pairs))
    out, back = dict(pairs[:half]), dict(pairs[half:])
    if not {"src", "dst", "sport", "dport"} <= out.keys() & back.keys():
        return None
    return Mapping(
        match["protocol"],
        out["src"],
        int(out["sport"]),
        back["dst"],
        int(back["dport"]),
        out["dst"],
        int(out["dport"]),
        "[UNREPLIED]" not in match["rest"],
        int(match["left"]),
        int(out["packets"]) if "packets" in out else None,
        int(back["packets"]) if "packets" in back else None,
    )
