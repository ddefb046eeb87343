"""Scripts for a gateway that is configured by its command line: the task and the example of `set nat demux`, one thing at a time.

They type what the document has typed, dial, and ask for what it shows. Whatever a verdict is to find among what was printed has a
label.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.devices.ios.gateway_lines import DYNAMIC, demux_lines
from harness.model import Secret
from harness.routers.script import GatewayStart
from harness.scenario.script import HOLD_S, Script

if TYPE_CHECKING:
    from harness.scenario.play import Play

GATEWAY = "gateway"
EXAMPLE = GatewayStart("example")
EXAMPLE_LIFE_S = 600
END_HOST = "171.0.0.10"
"""In the network that the example's static route leads to."""
FIGURE_1 = "209.265.200.231", "209.265.200.232"
NAT, DIRECT = "203.0.113.232", "203.0.113.50"

STATIC_MAP = ("crypto map STATIC_MAP 5 ipsec-isakmp", "crypto map STATIC_MAP 5", " set nat demux")
DYNAMIC_MAP = ("crypto dynamic-map DYNAMIC_MAP 10", " set nat demux")
PROMPTS = (
    "enable", "configure terminal", "crypto map STATIC_MAP 5 ipsec-isakmp", "set nat demux", "exit", "exit", "configure terminal",
    "crypto dynamic-map DYNAMIC_MAP 10", "set nat demux", "exit", "set nat demux", "exit",
)  # fmt: skip
"""The task's steps for either kind of map; and then the line once more, in global configuration, where it has no place."""


async def static_map(play: Play) -> None:
    """The line in an entry of a static map, which is then the only one on the interface; two clients; the line taken out again. And
    before it the addresses of the document's Figure 1, as somebody would copy them into a testbed."""
    console = play.console
    await play.testbed_naming(*FIGURE_1)
    await console.offer(GATEWAY, *STATIC_MAP, label="line")
    await console.configure(GATEWAY, "access-list 110 permit udp host 203.0.113.231 eq 1701 any")
    await console.configure(GATEWAY, "crypto map STATIC_MAP 5", f"set peer {NAT}", "set transform-set AES256 AES TS1")
    await console.configure(GATEWAY, "crypto map STATIC_MAP 5", "match address 110")
    await console.configure(GATEWAY, "interface FastEthernet0/0", "crypto map STATIC_MAP")
    await _two_and_shown(play, "show crypto map", "show crypto map interface FastEthernet0/0", "show crypto map tag STATIC_MAP")
    await console.configure(GATEWAY, "crypto map STATIC_MAP 5", "no set nat demux")
    await _shown(play, "without", "show crypto map", "show crypto map interface FastEthernet0/0", "show crypto map tag STATIC_MAP")


async def dynamic_map(play: Play) -> None:
    """The same in an entry of a dynamic map; and before it the task, step by step, on the console."""
    console = play.console
    await console.walk(GATEWAY, *PROMPTS, label="task")
    await console.configure(GATEWAY, "no crypto map STATIC_MAP 5", "no crypto dynamic-map DYNAMIC_MAP 10")
    await console.offer(GATEWAY, *DYNAMIC_MAP, label="line")
    await console.configure(GATEWAY, "crypto dynamic-map DYNAMIC_MAP 10", "set transform-set AES256 AES TS1")
    await console.configure(GATEWAY, "crypto map OTHER_MAP 6000 ipsec-isakmp dynamic DYNAMIC_MAP")
    await console.configure(GATEWAY, "interface FastEthernet0/0", "crypto map OTHER_MAP")
    await _two_and_shown(play, "show crypto dynamic-map", "show crypto dynamic-map tag DYNAMIC_MAP")
    await console.configure(GATEWAY, "crypto dynamic-map DYNAMIC_MAP 10", "no set nat demux")
    await _shown(play, "without", "show crypto dynamic-map", "show crypto dynamic-map tag DYNAMIC_MAP")


async def release(play: Play) -> None:
    """A release is offered the line, and what every release takes; then two clients come."""
    console = play.console
    await console.offer(GATEWAY, DYNAMIC, "set nat demux", "set transform-set AES256 AES TS1", label="line")
    await _two_and_shown(play)


async def map_order(play: Play) -> None:
    """A static entry for the NAT's clients beside the dynamic one of number 6000, each with a life of its own."""
    await play.connect("c1")
    await play.hold(HOLD_S)
    await play.connect("c2")
    await play.hold(HOLD_S)
    await _shown(play, "", "show crypto map")


async def example(play: Play) -> None:
    """Two clients for more than two lives of their SAs, and what the router shows of them."""
    await play.connect("c1")
    await play.connect("c2")
    await play.hold(HOLD_S)
    await _shown(play, "two", "show crypto ipsec sa", "show crypto map")
    await play.hold(2.2 * EXAMPLE_LIFE_S)
    await _shown(play, "later", "show crypto ipsec sa")


async def keepalive(play: Play) -> None:
    """A client that says nothing for more than two intervals of Dead Peer Detection."""
    await play.connect("c1")
    await play.hold(HOLD_S)
    await play.idle(2.2 * 3600)
    await play.hold(HOLD_S)


async def one_by_one(play: Play) -> None:
    """All clients, one after the other, and traffic on those that are up."""
    for plan in play.plans:
        await play.connect(plan.name)
        await play.hold(HOLD_S)


async def pool(play: Play) -> None:
    """One client more than the pool has addresses; those that are up go on for a while."""
    for plan in play.plans:
        await play.connect(plan.name)
    await play.hold(2 * HOLD_S)


async def _two_and_shown(play: Play, *commands: str) -> None:
    await play.connect("c1")
    await play.hold(HOLD_S)
    await play.connect("c2")
    await play.hold(2 * HOLD_S)
    await _shown(play, "with", *commands)


async def _shown(play: Play, label: str, *commands: str) -> None:
    for command in commands:
        await play.console.execute(GATEWAY, command, label)


WITHOUT = GatewayStart(lines=demux_lines(False))
"""The line is in no map that it begins with."""
OTHER_KEY = Secret("not the shared secret")

ROUTERS = (
    Script("static-map", "`set nat demux` in a static crypto map entry", 2, static_map, time="virtual", router=WITHOUT),
    Script("dynamic-map", "`set nat demux` in a dynamic crypto map entry", 2, dynamic_map, time="virtual", router=WITHOUT),
    Script(
        "release-before", "a release that is older than `set nat demux`", 2, release, time="virtual", gateway={"demux": False},
        router=GatewayStart(release="12.3(11)T3"),
    ),
    Script(
        "release-with", "the release that brought `set nat demux`", 2, release, time="virtual", gateway={"demux": False},
        router=GatewayStart(release="12.3(11)T4"),
    ),
    Script(
        "map-order", "a static crypto map entry before the dynamic one", 2, map_order, time="virtual",
        overrides={"c2": {"site": 0, "address": DIRECT}},
        router=GatewayStart("example", (
            "access-list 110 permit udp host 203.0.113.231 eq 1701 any",
            "crypto map CRYP_MAP 5 ipsec-isakmp", f" set peer {NAT}", " set security-association lifetime seconds 300",
            " set transform-set TS1", " set nat demux", " match address 110",
        )),
    ),
    Script(
        "example", "the document's example: two clients over two lives of 600 s", 2, example, time="virtual", router=EXAMPLE,
        overrides={"c2": {"personality": "windows2000"}}, marks_per_s=0.1, marks_to=END_HOST, overrun_s=3600.0,
    ),
    Script(
        "example-keepalive", "the document's example: Dead Peer Detection of 3600 s", 1, keepalive, time="virtual",
        personality="silent", overrun_s=4 * 3600.0,
        router=GatewayStart("example", (
            "crypto ipsec security-association lifetime seconds 86400", "vpdn-group 1", " l2tp tunnel hello 0",
            "interface Virtual-Template1", " no keepalive",
        )),
    ),
    Script(
        "example-keys", "the document's example: the key of all, another's key, and a name's", 5, one_by_one, time="virtual",
        router=EXAMPLE, not_up=frozenset({"c3", "c5"}), marks_per_s=2.0,
        overrides={
            "c2": {"site": 0, "address": DIRECT},
            "c3": {"psk": OTHER_KEY, "personality": "3des-modp1024"},
            "c4": {"psk": Secret("cisco"), "personality": "named-aggressive"},
            "c5": {"psk": Secret("cisco"), "personality": "named"},
        },
    ),
    Script(
        "example-ppp", "the document's example: CHAP, then MS-CHAP, and never PAP", 3, one_by_one, time="virtual", router=EXAMPLE,
        marks_per_s=2.0,
        overrides={"c2": {"personality": "mschap"}, "c3": {"personality": "pap"}}, not_up=frozenset({"c3"}),
    ),
    Script(
        "example-pool", "the document's example: a pool of eleven, and twelve clients", 12, pool, time="virtual", router=EXAMPLE,
        not_up=frozenset({"c12"}), marks_per_s=2.0,
    ),
)  # fmt: skip
