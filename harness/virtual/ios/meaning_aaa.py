"""What a configuration means for AAA: which RADIUS servers there are, by which lists users of PPP are judged and counted. Pure.

Without `aaa new-model` the router knows its own users alone. Defaults are those of the Security Command Reference: ports 1645 and
1646, 5 s, 3 retransmissions; without a default list the router's own users; a list that is named and does not exist lets nobody in.
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.virtual.aaa.settings import DEFAULT, GROUP, LOCAL, NONE, Aaa, AccountingList, Lists, When
from harness.virtual.ios import passwords
from harness.virtual.ios.configuration import Entry
from harness.wire.radius import Server

ALL = "radius"
"""The group of all servers."""
METHODS = {"chap": "chap-md5", "ms-chap": "mschapv1", "ms-chap-v2": "mschapv2", "pap": "pap"}
_WHEN: dict[str, When] = {"start-stop": "start-stop", "wait-start": "start-stop", "stop-only": "stop-only", "none": "none"}
_NO_METHODS = ("callin", "callout", "callback", "optional", "one-time", "eap")
_MINUTE = 60.0


def ppp_methods(entry: Entry | None) -> tuple[str, ...]:
    """By what an interface asks its peers who they are."""
    words = ((entry.value("ppp authentication") if entry else None) or "").split()
    return tuple(METHODS[one] for one in words if one in METHODS)


def ppp_lists(entry: Entry | None) -> Lists:
    """The lists that an interface names."""
    words = ((entry.value("ppp authentication") if entry else None) or "").split()
    named = [word for word in words if word not in METHODS and word not in _NO_METHODS]
    accounting = entry.value("ppp accounting") if entry else None
    return Lists(named[-1] if named else DEFAULT, accounting or DEFAULT)


def aaa(tree: Entry, link_lists: Lists, outside: Entry | None, lacks: list[str]) -> Aaa | None:
    """`outside` is the interface towards the peers, from which servers are asked too. None without `aaa new-model`. Adds to `lacks`
    what cannot work."""
    if not tree.has("aaa new-model"):
        if tree.find("aaa authentication ppp") or tree.find("aaa accounting network"):
            lacks.append("AAA lists without `aaa new-model`: the router judges users itself, and counts nobody")
        return None
    groups = {ALL: tuple(_servers(tree, lacks))}
    for group in tree.find("aaa group server radius"):
        groups[group.words[4]] = tuple(_members(tree, group, groups[ALL], lacks))
    source = tree.value("ip radius source-interface")
    if source is not None and (outside is None or source != outside.words[1]):
        lacks.append(f"`ip radius source-interface {source}`: servers are asked from the interface towards the peers alone")
    found = Aaa(
        groups,
        {one.words[3]: tuple(_methods(one, lacks)) for one in tree.find("aaa authentication ppp")},
        {one.words[3]: _accounting(one, lacks) for one in tree.find("aaa accounting network")},
        framed_address=any(ALL in " ".join(one.words[4:]) for one in tree.find("aaa authorization network default")),
        update_s=_update(tree),
        link_lists=link_lists,
        flows_list=_flows_list(tree, outside),
    )
    _check(found, lacks)
    return found


def _check(found: Aaa, lacks: list[str]) -> None:
    for name, methods in found.authentication.items():
        for method in methods:
            if method.startswith(GROUP) and not found.judges(method.removeprefix(GROUP)):
                lacks.append(f"aaa authentication ppp {name}: {method} has no server that can be asked")
    for name, how in found.accounting.items():
        if how.when != NONE and not found.books(*how.groups):
            lacks.append(f"aaa accounting network {name}: no server that can be told")
    if found.flows_list is not None and found.flows_list not in found.accounting:
        lacks.append(f"the crypto map's client accounting list {found.flows_list} does not exist")


def _servers(tree: Entry, lacks: list[str]) -> Iterator[Server]:
    for entry in tree.find("radius-server host"):
        server = _server(tree, entry.words[2], entry.words[3:], entry)
        if server is None:
            lacks.append(f"radius-server host {entry.words[2]} has no key that can be read: it cannot be asked")
        else:
            yield server


def _server(tree: Entry, address: str, words: tuple[str, ...], entry: Entry) -> Server | None:
    """None without a key: RADIUS cannot do without."""
    own = tuple(words[: words.index("key")]) if "key" in words else words
    said = dict(zip(own[::2], own[1::2], strict=False))
    line = " ".join(words)
    kept = line.partition("key ")[2] if "key" in words else tree.value("radius-server key")
    key = None if kept is None else passwords.clear(kept)
    if not key:
        return None
    tries = 1 + int(said.get("retransmit") or tree.value("radius-server retransmit") or 3)
    return Server(
        address,
        key.encode(),
        int(said.get("auth-port", 1645)),
        int(said.get("acct-port", 1646)),
        float(said.get("timeout") or tree.value("radius-server timeout") or 5),
        tries,
        float(tree.value("radius-server deadtime") or 0) * _MINUTE,
    )


def _members(tree: Entry, group: Entry, known: tuple[Server, ...], lacks: list[str]) -> Iterator[Server]:
    """The `server` lines of a group name servers that `radius-server host` describes."""
    for entry in group.find("server"):
        said = dict(zip(entry.words[2::2], entry.words[3::2], strict=False))
        wanted = entry.words[1], int(said.get("auth-port", 1645)), int(said.get("acct-port", 1646))
        found = next((one for one in known if (one.address, one.auth_port, one.acct_port) == wanted), None)
        if found is None:
            lacks.append(f"aaa group server radius {group.words[4]}: no radius-server host {wanted[0]} has these ports and a key")
        else:
            yield found


def _groups(words: tuple[str, ...]) -> Iterator[str]:
    """"group NAME" of each, in order; "radius" alone is an older form of "group radius"."""
    before = ""
    for word in words:
        if before == "group" or (word == ALL and before != "group"):
            yield word
        before = word


def _methods(entry: Entry, lacks: list[str]) -> Iterator[str]:
    words, before = entry.words[4:], ""
    for word in words:
        if before == "group" or word == ALL:
            yield GROUP + word
        elif word in (LOCAL, NONE):
            yield word
        elif word == "local-case":
            yield LOCAL
        elif word not in ("group", "if-needed"):  # whoever comes by L2TP has not logged in before
            lacks.append(f"aaa authentication ppp {entry.words[3]}: the method {word} is not served")
        before = word


def _accounting(entry: Entry, lacks: list[str]) -> AccountingList:
    words = entry.words[4:]
    if "broadcast" in words:
        lacks.append(f"aaa accounting network {entry.words[3]}: broadcast is not served; one server of the first group is told")
    when = _WHEN.get(words[0]) if words else None
    if when is None:
        lacks.append(f"aaa accounting network {entry.words[3]}: {' '.join(words)} is not served")
    return AccountingList(when or "none", tuple(_groups(words[1:])))


def _update(tree: Entry) -> float | None:
    words = (tree.value("aaa accounting update") or "").split()
    return float(words[words.index("periodic") + 1]) * _MINUTE if "periodic" in words[:-1] else None


def _flows_list(tree: Entry, outside: Entry | None) -> str | None:
    """Of the crypto map on the interface, in either spelling."""
    applied = None if outside is None else outside.value("crypto map")
    if applied is None:
        return None
    return tree.value(f"crypto map {applied} client-accounting-list") or tree.value(f"crypto map {applied} client accounting list")
