"""Driver of a Linux box that is the NAT: nftables masquerade and conntrack, over anything that can run a command on it as root."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from harness.devices import conntrack, linux_parsers, linux_state
from harness.devices.execute import CommandResult, Execute, complaint, said
from harness.devices.journal import Journal, Undo
from harness.errors import DeviceError
from harness.model.reach import Connection
from harness.model.testbed import NatSpec

TIMEOUT_S = 30.0


class LinuxNat:
    """The role Nat, between the two interfaces of `spec`, for the clients of `client_prefix`. It keeps its rules in a table of its
    own, and touches no other, nor mappings of anybody else.

    With a `journal`, what the device was is written down before the first change (`connection` says where that is); `restore` puts
    it back. Every method raises DeviceError.
    """

    def __init__(
        self,
        execute: Execute,
        spec: NatSpec,
        client_prefix: str,
        *,
        name: str = "nat",
        journal: Journal | None = None,
        connection: Connection | None = None,
    ) -> None:
        self.name = name
        self.client_prefix = client_prefix
        self._execute = execute
        self._spec = spec
        self._ranges = [(spec.first_port, spec.last_port)]  # mappings outlive a change of their range
        self._care = linux_state.Care(execute, name, self._changed, journal, connection)

    async def start(self) -> None:
        """Looks whether it is the NAT that the testbed means, then begins to translate and to forward."""
        await self._check_interfaces()
        await self.set_ports(self._spec.first_port, self._spec.last_port)
        await self.set_udp_timeout(self._spec.udp_timeout_s, self._spec.udp_stream_timeout_s)
        await self._set(conntrack.SETTINGS)

    async def save(self) -> Undo:
        return await self._care.save()

    async def restore(self) -> None:
        await self._care.restore()

    async def set_ports(self, first: int, last: int) -> None:
        """The outside ports that mappings made from now on get; those that exist stay as they are."""
        await self._care.before_changes()
        self._ranges.append((first, last))
        rules = conntrack.rules(self._spec.outside.name, self.client_prefix, first, last)
        await self._run("give the NAT its rules", f"nft -f - <<'end'\n{rules}end\n")

    async def set_udp_timeout(self, seconds: int, stream_seconds: int | None = None) -> None:
        """How long a UDP mapping outlives its last packet: before an answer was seen, and after (default: the same)."""
        await self._set(conntrack.timeouts(seconds, stream_seconds))

    async def mappings(self, protocol: str = "udp") -> tuple[conntrack.Entry, ...]:
        """The clients' part of the table as it is now, by inside address and port. DeviceError where one goes out by another
        address or port than the testbed names: then somebody else's rule translates it, or its way is another one; and where not
        every entry was read."""
        what = "read the NAT's mappings"
        # What it says beside the table comes when it likes, in the midst of a line too: the table waits until all is said.
        listing = f"table=$(conntrack -L -p {shlex.quote(protocol)} -s {self.client_prefix}) || exit\necho \"$table\""
        shown = await self._run(what, listing)
        found = conntrack.entries(shown.output.splitlines())
        if (count := conntrack.shown(shown.output)) is not None and count != len(found):
            raise DeviceError(self.name, what, f"it shows {count} entries, and {len(found)} were understood: {said(shown)}")
        spec = self._spec
        if (one := conntrack.astray(found, spec.outside.host, self._ranges, (spec.inside.host, spec.outside.host))) is not None:
            seen = f"{one.inside_address} port {one.inside_port} goes out as {one.outside_address} port {one.outside_port}"
            ports = " or ".join(f"{first} to {last}" for first, last in dict.fromkeys(self._ranges))
            cure = f"see `nft list ruleset` and `ip route get {one.remote_address}` there, or correct the testbed's outside of it"
            named = f"the testbed names {spec.outside.host}, ports {ports}"
            what = "NAT whose outside address is not the one named"
            raise DeviceError(self.name, "conntrack -L", f"{what}: {seen}, and {named}\n  cure: {cure}")
        return found

    async def forget(self, inside_address: str | None = None) -> int:
        """It loses its mappings, of one client or of all of them; how many there were."""
        what = "have the NAT forget its mappings"
        chosen = shlex.quote(inside_address or self.client_prefix)
        # Status 1 says that there was none.
        answer = await self._run(what, f"conntrack -D -s {chosen} || [ $? = 1 ]")
        if (count := conntrack.deleted(answer.output)) is None:
            raise DeviceError(self.name, what, f"unexpected words: {said(answer).strip() or '(none)'}")
        return count

    async def reboot(self) -> None:
        """What a reboot is to a NAT: it knows its clients no more. The machine itself is not restarted."""
        await self.forget()

    async def renumber(self, outside: str) -> None:
        seen = "masquerade knows no other address than its interface's, which is not this harness's to change"
        raise DeviceError(self.name, f"renumber to {outside}", seen)

    async def flush_neighbours(self) -> None:
        """Forget who has which hardware address on the two links: a gateway that takes another's place has another."""
        inside, outside = (shlex.quote(one.name) for one in (self._spec.inside, self._spec.outside))
        await self._run("flush the neighbours", f"ip neigh flush dev {inside} && ip neigh flush dev {outside}")

    # --- within ---

    async def _check_interfaces(self) -> None:
        rows = linux_parsers.parse_addresses((await self._run("read its addresses", "ip -o -4 address")).output)
        for side in (self._spec.inside, self._spec.outside):
            there = [address for interface, address, _ in rows.rows if interface == side.name]
            if side.host not in there:
                has = ", ".join(there) or "no address, or is not there"
                seen = f"the testbed gives {side.name} the address {side.host}, but on the device it has {has}"
                raise DeviceError(self.name, "ip -o -4 address", f"{seen}\n  cure: correct the testbed's interfaces of {self.name}")

    async def _set(self, values: Mapping[str, str]) -> None:
        await self._care.before_changes()
        lines = [f"echo {shlex.quote(value)} > {shlex.quote(f'/proc/sys/{name}')} || exit 1" for name, value in values.items()]
        await self._run("set " + ", ".join(values), "\n".join(lines) + "\n")

    def _changed(self) -> linux_state.Wanted:
        settings = (*conntrack.SETTINGS, *conntrack.FOLLOWING, conntrack.UDP_TIMEOUT, conntrack.UDP_STREAM_TIMEOUT)
        return linux_state.Wanted(settings=settings, tables=(conntrack.TABLE,))

    async def _run(self, what: str, script: str) -> CommandResult:
        result = await self._execute(script, TIMEOUT_S)
        if result.status != 0:
            raise DeviceError(self.name, what, complaint(result))
        return result
