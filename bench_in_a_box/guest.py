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

# In the foreground, behind the shell's back: as a daemon it would keep what the commander reads.
_SERVE = """
grep -q ^sshd: /etc/passwd || echo 'sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin' >> /etc/passwd
mkdir -p /run/sshd /etc/ssh /root/.ssh && chmod 700 /root /root/.ssh
cp /run/exchange/host-key /etc/ssh/host-key && cp /run/exchange/authorized_keys /root/.ssh/ && chmod 600 /etc/ssh/host-key
setsid /usr/sbin/sshd -D -e -f /dev/null -o HostKey=/etc/ssh/host-key -o ListenAddress=@address -o UsePAM=no -o StrictModes=no \\
    -o PasswordAuthentication=no -o PermitRootLogin=yes -o PidFile=none </dev/null >/run/sshd.log 2>&1 &
for ((tries = 0; tries < 400; tries++)); do grep -q 'Server listening' /run/sshd.log && exit 0; sleep 0.05; done
cat /run/sshd.log; exit 1
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
    host_key = new_key(guest.exchange / "host-key")
    (guest.exchange / "authorized_keys").write_text(user_key + "\n", encoding="ascii")
    served = await guest.execute(_SERVE.replace("@address", address))
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
