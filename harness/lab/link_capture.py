"""Captures on a link of a software lab: a packet socket in the node's namespace, and what comes out of it as a pcap stream.

The keeper of the lab opens the socket and hands it over; whoever has it reads, wherever that process lives, and needs neither a
program nor a right of its own. The capture ends when the reader closes the socket, or when the interface is gone.
"""

from __future__ import annotations

import errno
import select
import socket
import struct
from collections.abc import Iterator

from harness.errors import LabError
from harness.lab.cables import Cable
from harness.lab.packet_port import packet_socket

# Linux numbers that Python 3.11's socket module does not name (linux/if_ether.h, asm-generic/socket.h).
ETH_P_ALL = 0x0003
SO_TIMESTAMPNS = SCM_TIMESTAMPNS = 35
SNAPSHOT = 65_535

_TIMESPEC = struct.Struct("qq")
_RECORD = struct.Struct("<IIII")
HEADER = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, SNAPSHOT, 1)
"""pcap's file header: stamps in nanoseconds, Ethernet (draft-ietf-opsawg-pcap, sections 4 and 5)."""


def tap(cable: Cable) -> socket.socket:
    """What passes `cable` from now on, both ways, as its end `seen_at` has it. LabError where the kernel refuses."""
    plug = cable.seen_at
    assert plug.netns is not None
    with plug.netns.entered():
        one = packet_socket(socket.SOCK_RAW, plug.interface, ETH_P_ALL)
    one.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    return one


def pcap(packets: socket.socket, end: socket.socket) -> Iterator[bytes]:
    """The file's header, then each frame as a record, until `end` is readable or closed, or the interface is gone."""
    yield HEADER
    while end.fileno() >= 0:
        readable, _, _ = select.select([packets, end], [], [])
        if end in readable:
            return
        try:
            data, ancillary, _, _ = packets.recvmsg(SNAPSHOT, socket.CMSG_SPACE(_TIMESPEC.size))
        except BlockingIOError:
            continue
        except OSError as error:
            if error.errno in (errno.ENETDOWN, errno.ENODEV):
                return
            raise
        seconds, nanoseconds = _stamp(ancillary)
        yield _RECORD.pack(seconds, nanoseconds, len(data), len(data)) + data


def _stamp(ancillary: list[tuple[int, int, bytes]]) -> tuple[int, int]:
    """When the kernel had the frame, on the clock of the machine."""
    for level, kind, raw in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, SCM_TIMESTAMPNS):
            seconds, nanoseconds = _TIMESPEC.unpack(raw)
            return int(seconds), int(nanoseconds)
    raise LabError("capture on a link", "the kernel stamped a frame with no time")
