"""The box with a real gateway in it: a User Mode Linux guest whose SSH server is all that one knows of it."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

from bench_in_a_box.sshd import new_key
from harness.errors import LabError
from harness.lab import kernel_modules, packages
from harness.lab.namespaces import Netns, link
from harness.lab.topology import Attachment, choose_transport
from harness.lab.uml import GuestPlan, UmlGuest

WAN_ADDRESS = "203.0.113.231/24"

def serve(host_key: str, user_key: str, address: str = "0.0.0.0") -> str:
    """The script that starts an SSH server in a guest. Root's home there is not the host's, whose .bashrc is anybody's guess."""
    return f"""
umask 077; mkdir -p /run/sshd /run/keys; chmod 755 /run/sshd
grep -q ^sshd: /etc/passwd || echo 'sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin' >> /etc/passwd
printf %s '{host_key}' > /run/keys/host; echo '{user_key}' > /run/keys/authorized
sed -i 's/^root:[^:]*:/root:*:/' /etc/shadow; sed -i 's|^root:.*|root:x:0:0::/run:/bin/bash|' /etc/passwd
/usr/sbin/sshd -o HostKey=/run/keys/host -o AuthorizedKeysFile=/run/keys/authorized -o ListenAddress={address} -o UsePAM=no \\
    -o StrictModes=no -o PidFile=none -o PermitRootLogin=yes -o PasswordAuthentication=no -f /dev/null || exit 1
: # not the last word: in the place of a shell whose parent is PID 1 the server would take itself to be in the background already
"""


async def guest_gateway(closing: AsyncExitStack, yard: Netns, folder: Path, address: str, user_key: str) -> str:
    """Boots it on the switches of `yard`, its SSH server on `address`; it ends with `closing`. Its line for known_hosts."""
    folder.mkdir(parents=True)
    wan, management = (_attachment(yard, switch) for switch in ("wan", "management"))
    plan = GuestPlan(
        "gateway",
        wan,
        folder,
        addresses=[WAN_ADDRESS],
        packages=packages.guest_directory(),
        modules=kernel_modules.for_gateway("demux"),
        beside=[(management, [f"{address}/24"])],
    )
    guest = UmlGuest(plan)
    await guest.start()
    closing.push_async_callback(guest.stop)
    host_key = new_key(folder / "host-key")
    served = await guest.execute(serve((folder / "host-key").read_text(encoding="ascii"), user_key, address))
    if served.status != 0:
        raise LabError("start the gateway's SSH server", served.output.strip() or f"status {served.status}")
    return f"{address} {host_key}"


def _attachment(yard: Netns, switch: str) -> Attachment:
    name = f"gw-{switch}"
    if choose_transport("auto") == "tap":
        yard.ip("tuntap", "add", "dev", name, "mode", "tap")
        yard.offloads_off(name)
        yard.ip("link", "set", name, "master", switch, "up")
        return Attachment(yard.name, "tap", name)
    link(yard, name, yard, f"raw-{switch}")
    yard.ip("link", "set", name, "master", switch)
    yard.ip("link", "set", f"raw-{switch}", "arp", "off")
    return Attachment(yard.name, "raw", f"raw-{switch}")
