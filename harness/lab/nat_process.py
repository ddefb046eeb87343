"""The process of a userland NAT, in its namespace: two packet ports, one NatCore between them, and orders from the run.

Orders come on a Unix socket that was open when the process started, one JSON object a line: {"do": "mappings"}, {"do": "forget",
"inside"}, {"do": "reboot"}, {"do": "renumber", "outside"}, {"do": "set_udp_timeout", "seconds", "stream_seconds"}, {"do":
"set_ports", "first", "last"}, {"do": "flush_neighbours"}, {"do": "statistics"}; the answer is {"done": …} or {"wrong": "…"}. The
socket's end is the process's: it does not outlive the run that started it.
"""

from __future__ import annotations

import json
import os
import random
import select
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, astuple
from typing import Any

from harness.errors import NatstormError
from harness.lab import libc
from harness.lab.packet_port import PacketPort
from harness.nat import INSIDE, OUTSIDE, NatCore, Side, load


def main(arguments: Sequence[str]) -> None:
    """`arguments`: one JSON object with "control" (the socket's descriptor), "personality", "seed" (64 hexadecimal digits, or
    null), "prefix", and below "inside" and "outside" the interface and its address."""
    plan = json.loads(arguments[0])
    control = socket.socket(fileno=plan["control"])
    libc.process_name("natstorm-nat")
    try:
        NatProcess(control, plan).run()
    except (NatstormError, OSError, ValueError) as error:
        _tell(control, {"wrong": str(error)})
        raise SystemExit(3) from error


class NatProcess:
    def __init__(self, control: socket.socket, plan: dict[str, Any]) -> None:
        self._control = control
        self._unread = b""
        self._plan = plan
        self._ports: dict[Side, PacketPort] = {side: PacketPort(*plan[side]) for side in (INSIDE, OUTSIDE)}
        self._core = NatCore(
            load(plan["personality"]),
            outside=plan["outside"][1],
            inside=plan["prefix"],
            entropy=entropy_of(plan["seed"]),
        )
        self._over = False

    def run(self) -> None:
        """Translates until the run closes the control socket."""
        core, ports = self._core, self._ports
        waiting = select.epoll()
        incoming = {port.incoming.fileno(): (side, port) for side, port in ports.items()}
        arp = {port.arp.fileno(): port for port in ports.values()}
        for descriptor in (*incoming, *arp, self._control.fileno()):
            waiting.register(descriptor, select.EPOLLIN)
        _tell(self._control, {"done": None})
        while not self._over:
            ready = waiting.poll(self._patience())
            now = time.monotonic()
            for descriptor, _ in ready:
                if descriptor in incoming:
                    side, port = incoming[descriptor]
                    for packet in port.read():
                        core.receive(now, side, packet)
                elif descriptor in arp:
                    arp[descriptor].read_arp()
                else:
                    self._listen(now)
            self._pass_time(now)
            for out, packet in core.take_packets():
                ports[out].send(now, packet)

    def _patience(self) -> float | None:
        """Seconds until something has to be done, rounded up to what epoll can tell apart; None for as long as it takes."""
        due = [at for at in (self._core.deadline, *(port.deadline for port in self._ports.values())) if at is not None]
        return max(0.0, min(due) - time.monotonic() + 0.001) if due else None

    def _pass_time(self, now: float) -> None:
        deadline = self._core.deadline
        if deadline is not None and deadline <= now:
            self._core.tick(now)
        for port in self._ports.values():
            if (deadline := port.deadline) is not None and deadline <= now:
                port.tick(now)

    # --- orders ---

    def _listen(self, now: float) -> None:
        try:
            heard = self._control.recv(1 << 16)
        except ConnectionResetError:
            heard = b""
        if not heard:
            self._over = True
            return
        *orders, self._unread = (self._unread + heard).split(b"\n")
        for order in orders:
            try:
                answer = {"done": self._carry_out(now, json.loads(order))}
            except (NatstormError, OSError, ValueError, KeyError) as error:
                answer = {"wrong": f"{type(error).__name__}: {error}"}
            _tell(self._control, answer)

    def _carry_out(self, now: float, order: dict[str, Any]) -> Any:
        core = self._core
        match order["do"]:
            case "mappings":
                core.tick(now)
                return [astuple(mapping) for mapping in core.mappings()]
            case "forget":
                return core.forget(order["inside"])
            case "reboot":
                return core.reboot(now)
            case "renumber":
                self._ports[OUTSIDE].configure(order["outside"])
                return core.renumber(now, order["outside"])
            case "set_udp_timeout":
                return core.set_udp_timeout(order["seconds"], order["stream_seconds"])
            case "set_ports":
                return core.set_ports(order["first"], order["last"])
            case "flush_neighbours":
                for port in self._ports.values():
                    port.flush()
                return None
            case "statistics":
                return self._statistics()
            case other:
                raise ValueError(f"unknown order {other!r}")

    def _statistics(self) -> dict[str, Any]:
        for port in self._ports.values():
            port.count_drops()
        return {
            "passed": dict(self._core.passed),
            "dropped": dict(self._core.dropped),
            "ports": {side: asdict(port.counters) for side, port in self._ports.items()},
            "lost": sum(port.counters.lost for port in self._ports.values()),
            "cpu_s": time.process_time(),
        }


def entropy_of(seed: str | None) -> Callable[[int], bytes]:
    """The machine's own chance, or with a seed (hexadecimal digits) the same bytes, call after call, in every run."""
    return os.urandom if seed is None else random.Random(seed).randbytes


def _tell(control: socket.socket, answer: dict[str, Any]) -> None:
    # Where the run is gone, the end of the control socket is read next, and ends this process as well.
    with suppress(BrokenPipeError, ConnectionResetError):
        control.sendall(json.dumps(answer).encode() + b"\n")
