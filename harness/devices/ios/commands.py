"""Which parser reads which command, and how IOS abbreviates words. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from harness.devices.ios.parsers.crypto_engine import parse_crypto_engine
from harness.devices.ios.parsers.crypto_map import parse_crypto_map
from harness.devices.ios.parsers.crypto_session import parse_crypto_session
from harness.devices.ios.parsers.crypto_socket import parse_crypto_sockets
from harness.devices.ios.parsers.debug import parse_debug
from harness.devices.ios.parsers.interfaces import parse_interfaces
from harness.devices.ios.parsers.ipsec_sa import parse_ipsec_sa
from harness.devices.ios.parsers.isakmp_sa import parse_isakmp_sa, parse_isakmp_sa_detail
from harness.devices.ios.parsers.local_pool import parse_local_pool
from harness.devices.ios.parsers.nat_translations import parse_nat_translations
from harness.devices.ios.parsers.running_config import parse_running_config
from harness.devices.ios.parsers.users import parse_users
from harness.devices.ios.parsers.version import parse_version
from harness.devices.ios.parsers.vpdn import parse_vpdn, parse_vpdn_sessions, parse_vpdn_tunnels
from harness.devices.rows import Rows
from harness.errors import UsageError


@dataclass(frozen=True, slots=True)
class Command:
    """`words` are keywords. Behind them may stand, in any order and each once, the keywords of `options`, each with so many
    words of its own; `name` says that a word of the user's own may stand there instead, `anything` that all may."""

    words: str
    parse: Callable[[str], Rows[Any]]
    options: dict[str, int] = field(default_factory=dict, hash=False)
    name: bool = False
    anything: bool = False

    def pattern(self) -> str:
        """As a manual would write it."""
        parts = [f"[{' '.join([word, *['X'] * count])}]" for word, count in self.options.items()]
        return " ".join([self.words, *parts, *(["[NAME]"] if self.name else []), *(["[…]"] if self.anything else [])])


COMMANDS = (
    Command("show crypto map", parse_crypto_map, {"interface": 1, "tag": 1}),
    Command("show crypto dynamic-map", parse_crypto_map, {"tag": 1}),
    Command("show crypto ipsec sa", parse_ipsec_sa, {"interface": 1, "map": 1, "peer": 1, "vrf": 1, "detail": 0}),
    Command("show crypto isakmp sa", parse_isakmp_sa, {"vrf": 1}),
    Command("show crypto isakmp sa detail", parse_isakmp_sa_detail, {"vrf": 1}),
    Command("show crypto engine connections active", parse_crypto_engine),
    Command("show crypto sockets", parse_crypto_sockets),
    Command("show crypto session", parse_crypto_session, {"detail": 0, "interface": 1}),
    Command(
        "show ip nat translations",
        parse_nat_translations,
        {"esp": 0, "icmp": 0, "pptp": 0, "tcp": 0, "udp": 0, "verbose": 0, "vrf": 1},
    ),
    Command("show vpdn", parse_vpdn),
    Command("show vpdn tunnel", parse_vpdn_tunnels, {"l2tp": 0}),
    Command("show vpdn session", parse_vpdn_sessions, {"l2tp": 0}),
    Command("show l2tp", parse_vpdn),
    Command("show l2tp tunnel", parse_vpdn_tunnels),
    Command("show l2tp session", parse_vpdn_sessions),
    Command("show interfaces", parse_interfaces, anything=True),
    Command("show ip local pool", parse_local_pool, name=True),
    Command("show users", parse_users, {"all": 0, "wide": 0}),
    Command("show version", parse_version),
    Command("show running-config", parse_running_config, anything=True),
    Command("debug crypto socket", parse_debug),
    Command("debug vpdn l2x-events", parse_debug),
)


def parse(command: str, text: str) -> Rows[Any]:
    """What `text`, the command's output, says. UsageError where no parser knows the command. Never raises for the text."""
    return find(command).parse(text)


def find(command: str) -> Command:
    """The entry of COMMANDS for a command that a user typed, abbreviated as IOS lets them. UsageError names those that are
    close, or all, where there is none, and those that it could be where a word is ambiguous."""
    typed = command.split("|")[0].split()
    left = [one for one in COMMANDS if typed]
    for number, word in enumerate(typed):
        following = {one: one.words.split()[number] for one in left if len(one.words.split()) > number}
        keywords = _matching(word, set(following.values()))
        if not keywords:
            break
        if len(keywords) > 1:
            raise UsageError(f'"{word}" in "{command}" could be {" or ".join(sorted(keywords))}', cure="type more of the word")
        left = [one for one, keyword in following.items() if keyword in keywords]
    else:
        number = len(typed)
    whole = [one for one in left if len(one.words.split()) == number]
    if whole and _options_fit(whole[0], typed[number:]):
        return whole[0]
    raise UsageError(f'no parser knows the command "{command}"', cure=_others(command))


def _matching(word: str, keywords: set[str]) -> set[str]:
    """What the word may stand for."""
    return {keyword for keyword in keywords if keyword.startswith(word.lower())}


def _options_fit(command: Command, words: list[str]) -> bool:
    if command.anything:
        return True
    left = dict(command.options)
    named = not command.name
    while words:
        keywords = _matching(words[0], set(left))
        if len(keywords) == 1:
            keyword = keywords.pop()
            count = 1 + left.pop(keyword)
            if keyword == "interface" and len(words) > 2 and re.match(r"\d", words[2]):
                count += 1  # "interface FastEthernet 0/0"
            if len(words) < count:
                return False
            words = words[count:]
        elif named or keywords:
            return False
        else:
            words, named = words[1:], True
    return True


def _others(command: str) -> str:
    patterns = {one.words: one.pattern() for one in COMMANDS}
    close = difflib.get_close_matches(" ".join(command.lower().split()), patterns, n=3, cutoff=0.6)
    if close:
        return "did you mean " + ", or ".join(patterns[one] for one in close) + "? All: natstorm parse ios --list"
    return "one of\n    " + "\n    ".join(patterns.values())
