"""PID 1 of a guest: file systems, kernel modules and the network; then the commander takes over.

    python3 -I -S init.py EXCHANGE      EXCHANGE: the one host directory that the guest may write; it holds guest.json

The root the kernel gave us is the host's own, read-only (hostfs). Over it goes an overlay: the unpacked packages on top of the
host's files, and a tmpfs to take what is written. So the guest sees one Debian with the gateway's daemons installed, and the host
never changes.

guest.json: {"name": str, "packages": directory or null, "module_root": directory of one kernel release, "early_modules": [path],
"modules": [path, in the order of loading], "addresses": {interface: [str]}, "routes": [str], "sysctls": {name: value},
"console": "/dev/tty1"}
"""

from __future__ import annotations

import ctypes
import os
import sys

MS_RDONLY, MS_MOVE = 1, 8192
SYS_FINIT_MODULE = 313  # x86-64, the only architecture of the user-mode-linux package
EEXIST = 17

libc = ctypes.CDLL(None, use_errno=True)
libc.mount.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p)


def mount(source: str, target: str, kind: str, flags: int = 0, options: str = "") -> None:
    if libc.mount(source.encode(), target.encode(), kind.encode(), flags, options.encode()):
        number = ctypes.get_errno()
        raise OSError(number, f"mount {kind} {source} on {target} ({options}): {os.strerror(number)}")


def load_module(path: str) -> None:
    """Load one kernel module. One that is loaded already is no error."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.syscall(SYS_FINIT_MODULE, fd, b"", 0) and ctypes.get_errno() != EEXIST:
            number = ctypes.get_errno()
            raise OSError(number, f"load {path}: {os.strerror(number)}")
    finally:
        os.close(fd)


def build_root(packages: str | None, early_modules: list[str], exchange: str) -> None:
    """Leave the read-only hostfs root for an overlay that may be written, and enter it."""
    for module in early_modules:
        load_module(module)
    base = "/mnt"  # a directory that every Debian has and nobody's files are below: the paths of the project stay in sight
    mount("guest", base, "tmpfs")
    for name in ("upper", "work", "root", "packages"):
        os.mkdir(f"{base}/{name}")
    lower = "/"
    if packages:
        # A mount of its own: overlayfs refuses two lower directories of one mount where one is above the other.
        mount("packages", f"{base}/packages", "hostfs", MS_RDONLY, packages)
        lower = f"{base}/packages:/"
    root = f"{base}/root"
    mount("root", root, "overlay", 0, f"lowerdir={lower},upperdir={base}/upper,workdir={base}/work")
    mount("proc", f"{root}/proc", "proc")
    mount("sys", f"{root}/sys", "sysfs")
    mount("dev", f"{root}/dev", "devtmpfs")
    for directory in ("pts", "shm"):
        os.makedirs(f"{root}/dev/{directory}", exist_ok=True)
    for link, target in (("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        if not os.path.lexists(f"{root}/dev/{link}"):
            os.symlink(target, f"{root}/dev/{link}")
    mount("pts", f"{root}/dev/pts", "devpts", 0, "ptmxmode=666,mode=620")
    mount("shm", f"{root}/dev/shm", "tmpfs")
    mount("run", f"{root}/run", "tmpfs", 0, "mode=755")
    for directory in ("lock", "xl2tpd", "exchange"):
        os.mkdir(f"{root}/run/{directory}")
    mount("exchange", f"{root}/run/exchange", "hostfs", 0, exchange)
    os.chdir(root)
    mount(root, "/", "", MS_MOVE)
    os.chroot(".")
    os.chdir("/")


def run(*command: str, text: str = "") -> None:
    """Run one program with `text` on its standard input; what it complains of goes to the console."""
    reader, writer = os.pipe()
    pid = os.posix_spawn(command[0], command, dict(os.environ), file_actions=[(os.POSIX_SPAWN_DUP2, reader, 0)])
    os.close(reader)
    os.write(writer, text.encode())
    os.close(writer)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status:
        raise OSError(f"{' '.join(command)}: exit status {status}")


def configure(settings: dict[str, object]) -> None:
    """Modules, host name, kernel parameters and the network."""
    import socket

    release = os.uname().release
    if not os.path.exists(f"/lib/modules/{release}"):  # for a person at the guest's shell
        os.makedirs("/lib/modules", exist_ok=True)
        os.symlink(str(settings["module_root"]), f"/lib/modules/{release}")
    modules = settings["modules"]
    assert isinstance(modules, list)
    for module in modules:
        load_module(module)
    # The kernel asks modprobe about every algorithm and match it meets for the first time, also where it has all it needs: a second
    # or two, spent while the first client waits for its SA. All modules are loaded; let it ask nobody.
    with open("/proc/sys/kernel/modprobe", "w") as knob:
        knob.write("\n")
    if not os.path.exists("/dev/ppp"):
        os.mknod("/dev/ppp", 0o600 | 0o020000, os.makedev(108, 0))
    socket.sethostname(str(settings["name"]))
    addresses, routes, sysctls = settings["addresses"], settings["routes"], settings["sysctls"]
    assert isinstance(addresses, dict)
    assert isinstance(routes, list)
    assert isinstance(sysctls, dict)
    for name, value in sysctls.items():
        with open("/proc/sys/" + name.replace(".", "/"), "w") as knob:
            knob.write(str(value))
    lines = ["link set lo up", *(f"link set {interface} up" for interface in addresses)]
    lines += [f"address add {address} dev {interface}" for interface, own in addresses.items() for address in own]
    lines += [f"route add {route}" for route in routes]
    run("/sbin/ip", "-batch", "-", text="\n".join(lines) + "\n")


def main() -> None:
    import json

    exchange = sys.argv[1]
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path.insert(0, here)
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    os.environ.update(PATH=path, HOME="/root", LANG="C.UTF-8", TERM="linux")
    with open(f"{exchange}/guest.json") as file:
        settings = json.load(file)
    import commander  # type: ignore[import-not-found]  # while the host's paths still are where they were

    build_root(settings["packages"], settings["early_modules"], exchange)
    configure(settings)
    commander.serve(settings["console"])


if __name__ == "__main__":
    try:
        main()
    except Exception:
        import traceback

        # The kernel's console is the only place left to say it. Switching off ends the process without the noise of a panic.
        traceback.print_exc()
        sys.stderr.flush()
        libc.reboot(0x4321FEDC)  # RB_POWER_OFF
