"""Which processes of a Linux device a run has started, and which are somebody's, in bash.

What a run starts on a device that is somebody's bears a mark in its environment, `NATSTORM_RUN=…`, and so does all that it starts
in turn: a pppd is known when the xl2tpd that began it has died, and another process that has its number by then is not. Only what
is in the network and PID namespaces of the shell that asks counts at all: a container's daemons are nobody's business here.
"""

from __future__ import annotations

NAME = "NATSTORM_RUN"

HERE = """
ns_of() { readlink "/proc/$1/ns/net" "/proc/$1/ns/pid"; }
here() { local pid; for pid in $(pidof "$1"); do [ "$(ns_of $pid)" != "$(ns_of $$)" ] || echo $pid; done; } 2>/dev/null
"""
"""`here PROGRAM` says the processes of that program that are in the shell's own namespaces, each on a line."""


def functions(mark: str) -> str:
    """`ours PROGRAM` says those of `here` that bear the mark, `others PROGRAM` those that do not. `mark` is what follows the name
    in the environment; "" stands for a device of the run's own, on which all of a name is ours."""
    if not mark:
        return HERE + 'ours() { local pids; pids=$(here "$1"); echo "$pids"; [ -n "$pids" ]; }\nothers() { false; }\n'
    marked = f"grep -zqxF {NAME}={mark} /proc/$pid/environ 2>/dev/null"

    def those(name: str, way: str) -> str:
        each = f'for pid in $(here "$1"); do {marked} {way} {{ echo $pid; found=0; }}; done'
        return f"{name}() {{ local pid found=1; {each}; return $found; }}\n"

    return HERE + those("ours", "&&") + those("others", "||")


def exported(mark: str) -> str:
    """What is started after this line bears the mark."""
    return f"export {NAME}={mark}\n" if mark else ""
