"""Carries IP packets between the host and the PPP link of a guest that is a client.

    python3 -I -S relay.py

A line in, base64: a whole IP packet to send, by the guest's own routes. A line out: a whole IP packet that came out of the PPP
link, whoever it was for. What the guest's kernel answers by itself (echoes), it answers by itself.
"""

from __future__ import annotations

import base64
import os
import selectors
import socket
import sys

ETH_P_IP = 0x0800
LARGEST = 65535


def main() -> None:
    heard = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IP))
    said = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    selector = selectors.DefaultSelector()
    selector.register(heard, selectors.EVENT_READ)
    selector.register(0, selectors.EVENT_READ)
    pending = b""
    print("relaying", flush=True)
    while True:
        for key, _ in selector.select():
            if key.fileobj is heard:
                packet, origin = heard.recvfrom(LARGEST)
                interface, kind = origin[0], origin[2]
                if interface.startswith("ppp") and kind != socket.PACKET_OUTGOING:
                    print(base64.b64encode(packet).decode(), flush=True)
                continue
            data = os.read(0, LARGEST)
            if not data:
                return
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                send(said, base64.b64decode(line))


def send(said: socket.socket, packet: bytes) -> None:
    """A packet for which there is no way (any more) is lost, as on any host."""
    try:
        said.sendto(packet, (socket.inet_ntoa(packet[16:20]), 0))
    except OSError as error:
        print(f"lost: {error}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
