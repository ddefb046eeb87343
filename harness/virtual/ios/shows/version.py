"""`show version`, in the layout of IOS 12.4 on a 7200."""

from __future__ import annotations

from harness.virtual.ios.state import State


def version(state: State) -> list[str]:
    """As the public parsers read it. What it says of memory and processor is made up."""
    hardware = state.hardware
    software = f"Cisco IOS Software, {hardware.family} Software ({hardware.image}), Version {state.release}, RELEASE SOFTWARE (fc1)"
    interfaces = [entry.words[1] for entry in state.configuration.tree.find("interface")]
    counted = [
        f"{len(found)} {kind} interface{'s' if len(found) > 1 else ''}"
        for kind in ("Ethernet", "FastEthernet", "GigabitEthernet", "Serial")
        if (found := [name for name in interfaces if name.rstrip("0123456789/.:") == kind])
    ]
    return [
        software,
        "Technical Support: http://www.cisco.com/techsupport",
        "A virtual router of Natstorm, not a product of Cisco Systems, Inc.",
        "Compiled Fri 01-Mar-02 00:00 by natstorm",
        "",
        "ROM: Natstorm virtual router",
        "",
        f"{state.hostname} uptime is {uptime(state.now - state.up_at)}",
        f"System returned to ROM by {state.reload_reason.lower()}",
        f'System image file is "{hardware.file}"',
        "",
        f"Cisco {hardware.model} (NPE400) processor (revision A) with 245760K/16384K bytes of memory.",
        f"Processor board ID {hardware.board}",
        "R7000 CPU at 350MHz, Implementation 39, Rev 3.3, 256KB L2 Cache",
        "",
        f"Last reset from {'power-on' if state.reload_reason == 'power-on' else 's/w reset'}",
        "",
        *counted,
        "509K bytes of non-volatile configuration memory.",
        "",
        f"Configuration register is {hardware.register}",
        "",
    ]


def uptime(seconds: float) -> str:
    """ "2 days, 12 hours, 6 minutes": in the largest units that are not 0, down to minutes."""
    minutes = max(0, int(seconds)) // 60
    parts = []
    for unit, size in (("year", 525600), ("week", 10080), ("day", 1440), ("hour", 60), ("minute", 1)):
        count, minutes = divmod(minutes, size)
        if count or (unit == "minute"):
            parts.append(f"{count} {unit}{'' if count == 1 else 's'}")
    return ", ".join(parts)
