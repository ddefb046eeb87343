"""Plain pyATS, and Cisco's own parsers, on a router that is there: a program of its own, with genie's folder on its path.

    python genie_reads.py PORT KNOWN_HOSTS

It logs in by SSH as to any router, and prints as JSON what genie reads in `show version` and `show ip nat translations`.

    python genie_reads.py < OUTPUT

It reads what `show crypto session detail` has printed.
"""

from __future__ import annotations

import json
import os
import sys

from genie.libs.parser.ios.show_crypto_session import ShowCryptoSessionDetail
from genie.libs.parser.ios.show_ip import ShowIpNatTranslations
from genie.libs.parser.ios.show_platform import ShowVersion
from pyats import topology


def main(port: str, known_hosts: str) -> None:
    options = f"-o UserKnownHostsFile={known_hosts} -o StrictHostKeyChecking=yes"
    lns = {
        "os": "ios",
        "platform": "c7200",
        "type": "router",
        "credentials": {
            "default": {"username": "natstorm", "password": "letmein-please"},
            "enable": {"password": "enable-me-too"},
        },
        "connections": {"cli": {"protocol": "ssh", "ip": "127.0.0.1", "port": int(port), "ssh_options": options}},
    }
    device = topology.loader.load({"devices": {"LNS": lns}}).devices["LNS"]
    device.connect(via="cli", log_stdout=False, connection_timeout=60, logfile=os.devnull)
    try:
        found = {"version": ShowVersion(device=device).parse(), "nat": ShowIpNatTranslations(device=device).parse()}
    finally:
        device.settings.GRACEFUL_DISCONNECT_WAIT_SEC = device.settings.POST_DISCONNECT_WAIT_SEC = 0
        device.disconnect()
    print(json.dumps(found))


if __name__ == "__main__":
    if sys.argv[1:]:
        main(*sys.argv[1:])
    else:
        print(json.dumps(ShowCryptoSessionDetail(device=None).parse(output=sys.stdin.read())))
