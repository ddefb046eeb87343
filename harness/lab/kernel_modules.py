"""Which of the User Mode Linux kernel's modules a guest loads, and in which order.

The order is worked out here, from modules.dep, so that the guest need not start modprobe: there, each new process costs some 20 ms.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from harness.errors import LabError, MissingTool

UML_MODULES = Path("/usr/lib/uml/modules")

# What the root file system needs before anything else.
ROOT_MODULES = ("overlay",)

# ESP in transport mode with every algorithm the variants offer, and PPP over L2TP in kernel and in user space.
GATEWAY_MODULES = (
    "xfrm_user", "esp4", "authenc", "echainiv", "cbc", "des_generic", "hmac",
    "sha512_generic", "jitterentropy_rng", "drbg",  # the random numbers that echainiv starts from
    "ppp_generic", "ppp_async", "pppox", "l2tp_ppp", "udp_diag",
    "iptable_raw", "iptable_mangle", "iptable_filter", "xt_tcpudp", "xt_policy", "xt_mark",
)  # fmt: skip

# strongSwan's connmark plugin: the SA's mark is kept on the connection.
CONNMARK_MODULES = ("nf_conntrack", "xt_conntrack", "xt_connmark", "xt_esp", "nf_conntrack_netlink")

# The translator: a dummy interface whose egress rewrites ports.
DEMUX_MODULES = (
    "dummy", "sch_ingress", "cls_fw", "cls_flower", "act_pedit", "act_csum", "act_skbedit", "act_mirred",
    "xt_CT", "nf_dup_ipv4", "xt_TEE",
)  # fmt: skip


def for_gateway(ipsec: str) -> tuple[str, ...]:
    """The modules of one gateway variant: "plain", "connmark" or "demux"."""
    return GATEWAY_MODULES + {"plain": (), "connmark": CONNMARK_MODULES, "demux": DEMUX_MODULES}[ipsec]


def module_root(base: Path = UML_MODULES) -> Path:
    """The directory of the one kernel release that the package brings."""
    releases = sorted(base.glob("*/modules.dep")) if base.is_dir() else []
    if not releases:
        raise MissingTool("User Mode Linux", f"no kernel modules below {base}", "apt-get install user-mode-linux")
    return releases[-1].parent


def load_order(root: Path, wanted: Iterable[str]) -> list[str]:
    """Absolute paths of `wanted` modules and all they depend on, each once, in the order of loading.

    A name that the kernel has built in is skipped; one it does not know at all is an error.
    """
    known: dict[str, tuple[str, list[str]]] = {}
    for line in (root / "modules.dep").read_text().splitlines():
        module, _, listed = line.partition(":")
        known[_name(module)] = (module, listed.split())
    built_in = {_name(line) for line in (root / "modules.builtin").read_text().split()}
    order: dict[str, None] = {}
    for name in wanted:
        if name in built_in:
            continue
        if name not in known:
            cure = "apt-get install --reinstall user-mode-linux"
            raise LabError("kernel modules for the guest", f"{root} has no module {name}", cure)
        path, needs = known[name]
        for step in (*reversed(needs), path):  # modules.dep names the deepest dependency last
            order[str(root / step)] = None
    return list(order)


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1].split(".ko", 1)[0].replace("-", "_")
