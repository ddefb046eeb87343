"""Which of systemd's services keeps a daemon, and whether that one may be stopped for the daemon's sake.

A daemon that was started by hand lives in whatever started it: out of an SSH session without pam_systemd that is the SSH server's
own service, and stopping it would end the session by which the device is reached, and every other one. Such a daemon is like one
without a service: it is ended by itself, and started again by its command line.
"""

from __future__ import annotations

LOGINS = (
    "ssh.service", "sshd.service", "ssh@*.service", "sshd@*.service", "dropbear*.service", "*getty@*.service", "*getty.service",
    "systemd-logind.service", "telnet*.service", "*inetd*.service", "cockpit*.service", "*display-manager.service", "gdm*.service",
    "sddm.service", "lightdm.service",
)  # fmt: skip
"""Services through which somebody comes in, as patterns of their names."""

# By the path of its control group: systemd has a unit's processes in the one named as it, of its own hierarchy (v1) or the only
# one. Whatever is on the way from PID 1 to this shell serves it: SSH's server itself, or what a console server runs.
UNIT_OF = f"""
group_of() {{ sed -n 's/^\\(0:\\|[0-9]*:name=systemd\\):\\(.*\\)$/\\2/p' "/proc/$1/cgroup" 2>/dev/null | sort -r | head -n 1; }}
serves_logins() {{
    case "${{1##*/}}" in {"|".join(LOGINS)}) return 0;; esac
    case "$1" in */user@*.service/*) return 0;; esac  # a user's own service, which the system's systemctl does not know
    local at=$$
    while ((${{at:-0}} > 1)); do
        case "$(group_of "$at")/" in "$1"/*) return 0;; esac
        at=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$at/status" 2>/dev/null)
    done
    return 1
}}
service_of() {{ local group; group=$(group_of "$1"); case "$group" in *.service) echo "$group";; esac; }}
unit_of() {{ local path; path=$(service_of "$1"); [ -z "$path" ] || serves_logins "$path" || echo "${{path##*/}}"; }}
spared() {{ local path; path=$(service_of "$1"); [ -z "$path" ] || {{ serves_logins "$path" && echo "${{path##*/}}"; }}; }}
"""
"""Bash: `unit_of PID` says the service that is to be stopped with a process, and nothing where there is none or it serves logins;
`spared PID` says the one that is not to be stopped."""
