"""Crypto profiles: the template and its clones, what a profile takes no notice of, its transform sets, and the keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.routers.script import L2TP, RouterScript

if TYPE_CHECKING:
    from harness.routers.l2tp_play import L2tpPlay

LAC, LNS = "lac", "lns"
SHOW = "show crypto map tag l2tpsec"
PROFILE = "crypto map l2tpsec 10 ipsec-isakmp profile l2tp"
OUTSIDE = "interface FastEthernet0/0"
ENDED_S = 60.0
"""Within this a tunnel without a call is closed, and its SAs are gone: the LAC waits for 15 s, and messages may be repeated."""

NOBODY = "10.0.0.99"
"""An address at which nobody is."""
OTHER_USER = "caller@other.net"


async def _end(play: L2tpPlay, caller: str) -> None:
    """The call, its tunnel and the SAs."""
    await play.hang_up(caller)
    await play.rest(ENDED_S)


async def template_and_clones(play: L2tpPlay) -> None:
    """Both routers log to each other by UDP, which is traffic between the two that no tunnel carries."""
    await play.execute(LAC, SHOW, "before")
    await _log_to_each_other(play)
    caller = await play.dial()
    await play.ping(caller)
    await play.execute(LAC, SHOW, "up")
    await play.execute(LNS, SHOW, "up")
    await _log_to_each_other(play)
    await _end(play, caller)
    await play.execute(LAC, SHOW, "ended")
    await play.execute(LNS, SHOW, "ended")
    await play.configure(LAC, PROFILE, "set security-association lifetime seconds 120")
    await play.dial()
    await play.execute(LAC, SHOW, "changed")


async def _log_to_each_other(play: L2tpPlay) -> None:
    """That they were configured is what they log; nothing else is on the wire meanwhile."""
    await play.rest(5)
    await play.configure(LAC, "logging 10.0.0.13")
    await play.configure(LNS, "logging 10.0.0.12")
    await play.rest(5)


async def one_and_two(play: L2tpPlay) -> None:
    """To each LNS a tunnel, one after the other."""
    for label, user in (("one", None), ("two", OTHER_USER)):
        caller = await (play.dial() if user is None else play.dial(user))
        await play.ping(caller)
        await play.execute(LAC, SHOW, label)
        await play.execute(LAC, "show crypto engine connections active", label)
        await play.execute(LAC, "show crypto ipsec sa", label)


async def not_heeded(play: L2tpPlay) -> None:
    await play.offer(LAC, PROFILE, f"set peer {NOBODY}")
    caller = await play.dial()
    await play.ping(caller)
    await _end(play, caller)
    await play.offer(LAC, PROFILE, f"no set peer {NOBODY}")
    await play.configure(LAC, "access-list 101 permit udp any any")
    await play.configure(LAC, "logging 10.0.0.13")
    await play.rest(5)
    await play.offer(LAC, PROFILE, "match address 101")
    caller = await play.dial()
    await play.ping(caller)
    await play.rest(5)
    await play.configure(LAC, "logging 10.0.0.13")
    await play.rest(5)


async def names(play: L2tpPlay) -> None:
    await play.offer(LAC, "crypto map l2tpsec 20 ipsec-isakmp profile l2tp", label="twice")
    await play.execute(LAC, SHOW, "twice")
    await play.offer(LAC, "crypto map l2tpsec 30 ipsec-isakmp profile other", "set transform-set esp-des-sha-transport")
    await play.execute(LAC, SHOW, "another name")
    await play.offer(LAC, "crypto map second 10 ipsec-isakmp profile l2tp", "set transform-set esp-des-sha-transport")
    await play.execute(LAC, "show crypto map tag second", "another set")
    caller = await play.dial()
    await play.ping(caller)


SIX = {
    "one": "esp-aes 256 esp-sha-hmac",
    "two": "esp-3des esp-sha-hmac",
    "three": "esp-aes esp-md5-hmac",
    "four": "esp-3des esp-md5-hmac",
    "five": "esp-des esp-md5-hmac",
    "six": "esp-aes 192 esp-md5-hmac",
    "seven": "esp-aes 192 esp-sha-hmac",
}


def _sets(*named: str) -> tuple[str, ...]:
    return tuple(line for name in named for line in (f"crypto ipsec transform-set {name} {SIX[name]}", "mode transport"))


async def transform_sets(play: L2tpPlay) -> None:
    """Of six that the LAC offers the LNS knows the last alone; a seventh; then two of five, in both orders."""
    await play.offer(LAC, PROFILE, "set transform-set one two three four five six", label="six")
    await play.configure(LNS, PROFILE, "set transform-set six")
    await _end(play, await play.dial())
    await play.offer(LAC, PROFILE, "set transform-set one two three four five six seven", label="seven")
    await play.configure(LNS, PROFILE, "set transform-set seven")
    await play.dial()
    await play.configure(LNS, PROFILE, "set transform-set one two three four five")
    for offered in ("two five", "five two"):
        await play.configure(LAC, PROFILE, f"set transform-set {offered}")
        await play.execute(LAC, "clear crypto isakmp")
        await _end(play, await play.dial())


async def no_common_transform(play: L2tpPlay) -> None:
    await play.configure(LNS, PROFILE, "set transform-set three")
    await play.dial()
    await play.rest(10)
    await play.configure(LNS, PROFILE, "set transform-set esp-des-sha-transport")
    caller = await play.dial()
    await play.ping(caller)


async def modes(play: L2tpPlay) -> None:
    """As the profiles are; with a transform set that has no line of its mode; with PFS."""
    await _end(play, await play.dial())
    for device in (LAC, LNS):
        await play.configure(device, "crypto ipsec transform-set modeless esp-des esp-sha-hmac")
        await play.configure(device, PROFILE, "set transform-set modeless")
    await _end(play, await play.dial())
    for device in (LAC, LNS):
        await play.configure(device, PROFILE, "set transform-set esp-des-sha-transport", "set pfs group2")
    caller = await play.dial()
    await play.ping(caller)


async def no_map_on_the_interface(play: L2tpPlay) -> None:
    for device in (LAC, LNS):
        await play.configure(device, OUTSIDE, "no crypto map")
        await play.dial()
        await play.configure(device, OUTSIDE, "crypto map l2tpsec")
    caller = await play.dial()
    await play.ping(caller)


async def keys(play: L2tpPlay) -> None:
    """The right key, another one, the right one for somebody else, and the right one again."""
    await _end(play, await play.dial())
    for wrong in (("crypto isakmp key 0ther address 10.0.0.13",), (f"crypto isakmp key cisco address {NOBODY}",)):
        await play.configure(LAC, "no crypto isakmp key cisco address 10.0.0.13", *wrong)
        await play.dial()
        await play.rest(60)
        await play.configure(LAC, *(f"no {line}" for line in wrong), "crypto isakmp key cisco address 10.0.0.13")
        await play.execute(LAC, "clear crypto isakmp")
        await play.execute(LNS, "clear crypto isakmp")
    caller = await play.dial()
    await play.ping(caller)


_FIVE = _sets("one", "two", "three", "four", "five")
PROFILES = (
    RouterScript("l2tp-profile", "a crypto profile before, while and after it is cloned", L2TP, template_and_clones),
    RouterScript(
        "l2tp-two-lns",
        "tunnels to two LNSes, one after the other",
        L2TP,
        one_and_two,
        lines={
            LAC: (
                "vpdn-group 2", "request-dialin", "protocol l2tp", "domain other.net", "exit", "initiate-to ip 10.0.0.14",
                "local name LAC", "l2tp security crypto-profile l2tp", "l2tp tunnel password cisco",
                "crypto isakmp key cisco address 10.0.0.14",
            ),
            "lns-2": (f"username {OTHER_USER} password 0 cisco",),
        },
        options={"second_lns": True},
    ),
    RouterScript("l2tp-profile-not-heeded", "a peer and an access list in a crypto profile", L2TP, not_heeded),
    RouterScript("l2tp-profile-names", "a crypto profile's name, given twice", L2TP, names),
    RouterScript(
        "l2tp-transform-sets",
        "six and seven transform sets, and which of them is used",
        L2TP,
        transform_sets,
        lines={LAC: (*_FIVE, *_sets("six", "seven")), LNS: (*_FIVE, *_sets("six", "seven"))},
    ),
    RouterScript(
        "l2tp-no-common-transform", "an LNS without the LAC's transform set", L2TP, no_common_transform, lines={LNS: _FIVE}
    ),
    RouterScript("l2tp-modes", "transport mode, no line of a mode, and perfect forward secrecy", L2TP, modes),
    RouterScript("l2tp-no-map", "an interface without the crypto map, at the LAC and at the LNS", L2TP, no_map_on_the_interface),
    RouterScript("l2tp-keys", "pre-shared keys, right and wrong", L2TP, keys),
)  # fmt: skip
