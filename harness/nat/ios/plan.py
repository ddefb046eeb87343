"""The `ios` part of a personality file."""

from __future__ import annotations

from harness.nat.ios.access_list import AccessList, Line, parse
from harness.nat.ios.ftp import FtpPort
from harness.nat.ios.services import IosPlan, Services
from harness.nat.ios.timers import KINDS
from harness.strict_yaml import At


def read_plan(at: At) -> IosPlan:
    """Raises UsageError where something is wrong, with the place."""
    keys = at.mapping("overload", "map_id", "timers", "spi_match", "preserve_port", "ftp", "skinny")
    return IosPlan(
        overload=keys["overload"].boolean(),
        map_id=keys["map_id"].integer(1),
        services=Services(
            spi_match=keys["spi_match"].optional(_list),
            preserve_port=keys["preserve_port"].optional(_list),
            ftp=keys["ftp"].optional(lambda node: node.items(_ftp)) or (),
            skinny=keys["skinny"].optional(lambda node: node.items(_port)) or (),
        ),
        timers={name: node.seconds() for name, node in keys["timers"].mapping(*KINDS).items()},
    )


def _list(at: At) -> AccessList:
    return AccessList(at.items(_line))


def _line(at: At) -> Line:
    try:
        return parse(at.text())
    except ValueError as error:
        raise at.wrong(str(error), "permit or deny, then an address, an address and a wildcard, or any") from None


def _ftp(at: At) -> FtpPort:
    keys = at.mapping("servers", "port")
    return FtpPort(_list(keys["servers"]), _port(keys["port"]))


def _port(at: At) -> int:
    return at.integer(1, 65535)
