"""Orders to a gateway's process: one JSON object a line, {"do": NAME, …}, answered by {"done": …} or {"wrong": "…"}.

    view(label) · events() · logs() · stats() · start_witnesses(folder) · stop_witnesses()
    delete_ipsec(spi, udp_port, address) · delete_esp(spi) · rekey(spi) · rekey_ike(spi, udp_port) · close_l2tp(tunnel)
    close_call(session) · reconfigure(changes) · silence(on) · restart() · shut_down() · ended()
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, Protocol

from harness.errors import NatstormError
from harness.model import Secret
from harness.virtual.gateway import VirtualGateway

ORDERS = frozenset((
    "delete_ipsec", "delete_esp", "rekey", "rekey_ike", "close_l2tp", "close_call", "silence", "restart", "shut_down",
))  # fmt: skip


class Process(Protocol):
    """What orders need of the process beside the gateway itself."""

    gateway: VirtualGateway

    def now(self) -> float: ...

    def epoch(self, now: float) -> float: ...

    def events(self) -> list[dict[str, Any]]: ...

    def logs(self) -> dict[str, str]: ...

    def stats(self) -> dict[str, Any]: ...

    def start_witnesses(self, folder: Path) -> None: ...

    def stop_witnesses(self) -> list[Any]: ...


class Control:
    """Bytes in, bytes out. `answer` takes whatever has come and returns what is to be sent back."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._unread = b""

    def answer(self, heard: bytes) -> bytes:
        *lines, self._unread = (self._unread + heard).split(b"\n")
        return b"".join(self._one(line) for line in lines if line)

    def _one(self, line: bytes) -> bytes:
        try:
            said: dict[str, Any] = {"done": self._carry_out(**json.loads(line))}
        except (NatstormError, OSError, ValueError, KeyError, TypeError) as error:
            said = {"wrong": str(error) if isinstance(error, NatstormError) else f"{type(error).__name__}: {error}"}
        return json.dumps(said, default=_plain).encode() + b"\n"

    def _carry_out(self, do: str, **arguments: Any) -> Any:
        process = self._process
        gateway, now = process.gateway, process.now()
        if do in ORDERS:
            order: Callable[..., None] = getattr(gateway, do)
            order(now, **arguments)
            return None
        match do:
            case "reconfigure":
                gateway.reconfigure(now, **revealed(arguments["changes"]))
                return None
            case "view":
                return asdict(gateway.view(now, arguments["label"])) | {"t": process.epoch(now)}
            case "ended":
                return gateway.ended
            case "events":
                return process.events()
            case "logs":
                return process.logs()
            case "stats":
                return process.stats()
            case "start_witnesses":
                process.start_witnesses(Path(arguments["folder"]))
                return None
            case "stop_witnesses":
                return process.stop_witnesses()
        raise ValueError(f"there is no order {do!r}")


def revealed(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Settings out of JSON: secrets are made such again, lists tuples."""
    found = dict(changes)
    if "psk" in found:
        found["psk"] = Secret(found["psk"])
    if "users" in found:
        found["users"] = {user: Secret(password) for user, password in found["users"].items()}
    if "authentication" in found:
        found["authentication"] = tuple(found["authentication"])
    return found


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} is nothing to put into an answer")
