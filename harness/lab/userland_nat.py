"""The NAT as a process of the project's own in place of the kernel's: what the kernel cannot play, as nat/personalities/*.yaml
says.

The same methods as lab.nat.NatNode. Ports and time-outs are the personality's, not the testbed's. The kernel of the namespace
answers ARP and is otherwise deaf: it forwards nothing and drops what it receives, after the process has seen it.
"""

from __future__ import annotations

import json
import socket
import subprocess
from typing import Any

from harness.errors import LabError
from harness.lab import enclosure
from harness.lab.namespaces import Netns
from harness.model.testbed import NatSpec
from harness.nat import Mapping, load

SETTINGS = {"net/ipv4/ip_forward": "0"}
DEAF = (
    "table ip natstorm\n"
    "delete table ip natstorm\n"
    "table ip natstorm {\n"
    "  chain deaf {\n"
    "    type filter hook prerouting priority raw; policy drop;\n"
    "  }\n"
    "}\n"
)
PATIENCE_S = 20.0
"""For the process to start, and to answer: milliseconds where nothing is wrong."""


class UserlandNat:
    """A NAT of `personality` in namespace `netns`, between the interfaces that `spec` names. `seed`: 32 bytes that all its chance
    comes from; None for chance of its own."""

    def __init__(self, netns: Netns, spec: NatSpec, client_prefix: str, personality: str, seed: bytes | None = None) -> None:
        load(personality)  # a wrong name is told before anything is built
        self.netns = netns
        self.inside_interface = spec.inside.name
        self.outside_interface = spec.outside.name
        self.outside_address = spec.outside.host
        self.client_prefix = client_prefix
        self.personality = personality
        self._spec = spec
        self._seed = seed
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._unread = b""
        self._told = 0  # packets lost, as last told of

    # --- life ---

    def start(self) -> None:
        """Begins to translate and to forward. The interfaces must exist, with their addresses and routes."""
        self.netns.sysctl(SETTINGS)
        self.netns.run(["nft", "-f", "-"], step="make the NAT's kernel deaf", text=DEAF)
        ours, its = socket.socketpair()
        plan = {
            "control": its.fileno(),
            "personality": self.personality,
            "seed": None if self._seed is None else self._seed.hex(),
            "prefix": self.client_prefix,
            "inside": (self.inside_interface, self._spec.inside.host),
            "outside": (self.outside_interface, self.outside_address),
        }
        ours.settimeout(PATIENCE_S)
        with its:
            self._process = subprocess.Popen(
                self.netns.command(enclosure.python("harness.lab.nat_process", json.dumps(plan))),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=[its.fileno()],
                start_new_session=True,  # Ctrl-C is for the run alone
            )
        self._control, self._unread, self._told = ours, b"", 0
        try:
            self._answer("start the userland NAT")
        except LabError:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends the process. Safe to call when there is none."""
        process, self._process = self._process, None
        control, self._control = self._control, None
        if control is not None:
            control.close()
        if process is not None:
            try:
                process.communicate(timeout=PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()

    # --- as lab.nat.NatNode ---

    def set_ports(self, first: int, last: int) -> None:
        """The outside ports that mappings made from now on get; those that exist stay as they are."""
        self._order("set_ports", first=first, last=last)

    def set_udp_timeout(self, seconds: int, stream_seconds: int | None = None) -> None:
        """How long a UDP mapping outlives its last packet: before an answer was seen, and after (default: the same)."""
        self._order("set_udp_timeout", seconds=seconds, stream_seconds=stream_seconds)

    def mappings(self, protocol: str = "udp") -> tuple[Mapping, ...]:
        """The table as it is now, by inside address and port."""
        return tuple(mapping for row in self._order("mappings") if (mapping := Mapping(*row)).protocol == protocol)

    def forget(self, inside_address: str | None = None) -> int:
        """The NAT loses its mappings, of one client or of all; how many there were."""
        return int(self._order("forget", inside=inside_address))

    def forget_everything(self) -> None:
        """The table is emptied, of whatever is in it; next port and outside address are what they were at first: a fresh NAT."""
        if self.outside_address != self._spec.outside.host:
            self.renumber(self._spec.outside.host)
        self.reboot()

    def flush_neighbours(self) -> None:
        """Forget who has which hardware address: a guest that takes another's place has another."""
        self.netns.ip("neigh", "flush", "all")
        self._order("flush_neighbours")

    def trouble(self) -> list[str]:
        """What makes the evidence since it was last asked doubtful, a sentence each: packets that this machine lost, and not the
        NAT that is played."""
        try:
            total = self.statistics()["lost"]
        except LabError as error:
            return [str(error)]
        lost, self._told = total - self._told, total
        return [f"the userland NAT lost {lost} packets: its receive queue overflowed, or they could not be sent"] if lost else []

    # --- what the kernel's cannot ---

    def reboot(self) -> None:
        """All that it holds in memory is gone, and its allocator begins anew."""
        self._order("reboot")

    def renumber(self, outside: str) -> None:
        """It gets the outside address `outside`, in the network of the old one; no mapping lives on."""
        length = self._spec.outside.address.partition("/")[2]
        self.netns.ip("address", "del", f"{self.outside_address}/{length}", "dev", self.outside_interface)
        self.netns.ip("address", "add", f"{outside}/{length}", "dev", self.outside_interface)
        self.outside_address = outside
        self._order("renumber", outside=outside)

    def statistics(self) -> dict[str, Any]:
        """"passed": packets by side; "dropped": by reason, what this NAT does not let pass or its links lost on purpose; "ports":
        their counters; "cpu_s"; "lost": packets that this machine lost on their way in or out."""
        found: dict[str, Any] = self._order("statistics")
        return found

    # --- orders ---

    def _order(self, do: str, **arguments: Any) -> Any:
        step = f"tell the userland NAT: {do}"
        if self._control is None:
            raise LabError(step, "it is not running")
        try:
            self._control.sendall(json.dumps({"do": do, **arguments}).encode() + b"\n")
        except OSError as error:
            raise LabError(step, self._last_words(error)) from error
        return self._answer(step)

    def _answer(self, step: str) -> Any:
        assert self._control is not None
        try:
            while b"\n" not in self._unread:
                heard = self._control.recv(1 << 20)
                if not heard:
                    raise LabError(step, self._last_words("it has ended"))
                self._unread += heard
        except OSError as error:
            raise LabError(step, self._last_words(error)) from error
        line, _, self._unread = self._unread.partition(b"\n")
        answer = json.loads(line)
        if "wrong" in answer:
            raise LabError(step, str(answer["wrong"]))
        return answer["done"]

    def _last_words(self, otherwise: object) -> str:
        """What the process said on its standard error before it ended; `otherwise` where it has not ended, or said nothing."""
        process = self._process
        if process is None or process.stderr is None:
            return str(otherwise)
        try:
            process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            return str(otherwise)
        return process.stderr.read().decode(errors="replace").strip() or str(otherwise)
