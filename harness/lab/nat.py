"""The NAT: the kernel's own, nftables masquerade and conntrack in a namespace.

Its rules are those of harness/devices/conntrack.py, which a Linux box that is not ours is given, too. Which port in the range is
the kernel's choice; a source port that lies in the range and is free is kept (4500 of the first client). The NAT drops nothing and
rewrites no payload: it has no helpers.
"""

from __future__ import annotations

from dataclasses import astuple

from harness.devices import conntrack
from harness.errors import LabError
from harness.lab import tools
from harness.lab.namespaces import Netns
from harness.model.testbed import NatSpec
from harness.nat import Mapping


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
        self.netns.sysctl(conntrack.SETTINGS)

    def stop(self) -> None:
        """The kernel's NAT ends with its namespace: there is no process to end."""

    def trouble(self) -> list[str]:
        """What makes its evidence doubtful: nothing. The kernel's NAT has no queue of its own that could overflow."""
        return []

    def set_ports(self, first: int, last: int) -> None:
        """The outside ports that mappings made from now on get; those that exist stay as they are."""
        rules = conntrack.rules(self.outside_interface, self.client_prefix, first, last)
        self.netns.run(["nft", "-f", "-"], step="give the NAT its rules", text=rules)

    def set_udp_timeout(self, seconds: int, stream_seconds: int | None = None) -> None:
        """How long a UDP mapping outlives its last packet: before an answer was seen, and after (default: the same)."""
        self.netns.sysctl(conntrack.timeouts(seconds, stream_seconds))

    def mappings(self, protocol: str = "udp") -> tuple[Mapping, ...]:
        """The table as it is now, by inside address and port."""
        step = "read the NAT's mappings"
        shown = self.netns.run(["conntrack", "-L", "-p", protocol, "-s", self.client_prefix], step=step).stdout
        return tuple(Mapping(*astuple(entry)) for entry in conntrack.entries(shown.splitlines()))

    def forget(self, inside_address: str | None = None) -> int:
        """The NAT loses its mappings, of one client or of all, as on a restart; how many there were."""
        step = "have the NAT forget its mappings"
        chosen = self.client_prefix if inside_address is None else inside_address
        # Status 1 says that there was none.
        done = self.netns.run(["conntrack", "-D", "-s", chosen], step=step, accept=(0, 1))
        count = conntrack.deleted(done.stderr)
        if count is None:
            raise tools.unexpected(step, done.stderr or done.stdout)
        return count

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
