"""pyATS's own loader as a second reader of a testbed file.

It is given what the first reader made of the file, with no markup left in it and no secret: a text stands for each. So it neither
asks a second time for what the user has typed, nor can it keep or print what is none of its business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from harness.errors import UsageError
from harness.model.secret import Secret
from harness.testbed.marks import Marked

STAND_IN = "stands-for-a-secret"


def agree(read: Marked, judged: Marked, *, file: str, shown: Callable[[str], str] = str) -> None:
    """Loads the file with pyATS. Raises UsageError where pyATS does not take it, or reads something else than was read here, with
    the sentence as it is `shown`."""
    from pyats.topology import loader

    given = _without_secrets(read, judged)
    try:
        loaded = loader.load(_without_secrets(read, judged))
    except Exception as error:  # pyATS has no root of its own for what its loader raises
        said = " ".join(str(error).split())
        raise UsageError(shown(f"pyATS does not take it: {said}"), file=file, cure="compare with testbeds/linux.yaml") from error
    for path, ours, theirs in _differences(given, loaded):
        line = read.find(*path).line
        problem = shown(f"pyATS reads {theirs!r} for {'.'.join(path)}, where {ours!r} stands")
        raise UsageError(problem, file=file, line=line, cure="put the value in quotes, or write it as it is meant")


def _without_secrets(read: Marked, judged: Marked) -> Any:
    if isinstance(judged.value, Secret):
        return STAND_IN
    if isinstance(read.value, dict) and isinstance(judged.value, dict):
        return {key: _without_secrets(child, judged.value[key]) for key, child in read.value.items()}
    return read.plain()


def _differences(given: Mapping[str, Any], loaded: Any) -> list[tuple[tuple[str, ...], Any, Any]]:
    """What of devices, connections, interfaces and own values pyATS has otherwise: path, ours, theirs."""
    pairs: list[tuple[tuple[str, ...], Any, Any]] = []
    about = given.get("testbed", {})
    if "name" in about:
        pairs.append((("testbed", "name"), about["name"], loaded.name))
    pairs.append((("testbed", "custom"), about.get("custom", {}), _plain(loaded.custom)))
    pairs.append((("devices",), sorted(given["devices"]), sorted(loaded.devices)))
    for name, device in given["devices"].items():
        if (theirs := loaded.devices.get(name)) is None:
            continue
        path = ("devices", name)
        pairs += [((*path, key), str(device[key]), str(getattr(theirs, key))) for key in ("type", "os")]
        pairs.append(((*path, "custom"), device.get("custom", {}), _plain(theirs.custom)))
        for via, connection in device["connections"].items():
            there = theirs.connections.get(via, {})
            pairs += [
                ((*path, "connections", via, key), str(value), str(there.get(key)))
                for key, value in connection.items()
                if key != "credentials"
            ]
        ports = given["topology"].get(name, {}).get("interfaces", {})
        pairs += [
            (("topology", name, "interfaces", port, key), str(row[key]), shown)
            for port, row in ports.items()
            for key, shown in _interface(theirs.interfaces.get(port)).items()
            if key in row
        ]
    return [(path, ours, theirs) for path, ours, theirs in pairs if ours != theirs]


def _interface(port: Any) -> Mapping[str, str]:
    if port is None:
        return {"link": "nothing"}
    return {"link": str(port.link.name), "ipv4": str(port.ipv4)}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
