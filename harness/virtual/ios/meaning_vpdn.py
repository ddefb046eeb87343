"""What a configuration means for an LNS and a LAC by VPDN groups, with crypto profiles. Pure, and nothing is invented, as in
`meaning`.

Sources: L2TP Security (`l2tp security crypto-profile`, `crypto map … profile`), and what its examples take for granted: a tunnel's
password is the group's own, else that of the user who is called as the tunnel is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from harness.errors import UsageError
from harness.model import Secret
from harness.virtual.aaa.settings import Lists
from harness.virtual.ios import meaning, meaning_aaa
from harness.virtual.ios.configuration import Entry
from harness.virtual.ios.meaning import CIPHERS, HMACS
from harness.virtual.vpdn.crypto import Crypto, CryptoProfile, TransformSet
from harness.virtual.vpdn.groups import AcceptGroup, Renegotiation, RequestGroup, Security, Target, Vpdn

PFS = {"group1": "modp768", "group2": "modp1024", "group5": "modp1536"}
NO_SESSION_S = 15.0
"""For how long a LAC keeps a tunnel without a call, where no line says; `never` is not served."""
DEFAULT_POOL = "default"
LINES = ("Serial", "Async", "BRI", "Dialer", "Group-Async")
"""Interfaces that callers come in by."""


def has_profiles(tree: Entry) -> bool:
    return any(entry.words[5:6] == ("profile",) for entry in tree.find("crypto map"))


def vpdn(tree: Entry, lacks: list[str]) -> Vpdn | None:
    """The groups, and the crypto profiles that there are for them; None without `vpdn enable`. Adds to `lacks` what keeps a part
    from working."""
    if not tree.has("vpdn enable"):
        lacks.append("no `vpdn enable`")
        return None
    accept, request = list(_accepting(tree, lacks)), list(_requesting(tree, lacks))
    if not accept and not request and not _pppoe_alone(tree):
        lacks.append("no vpdn-group that accepts or requests L2TP tunnels")
    secured = [group.security.profile for group in (*accept, *request) if group.security is not None]
    found = crypto(tree, lacks)
    for name in secured:
        if found.profile(name) is None:
            lacks.append(f"no crypto map on an interface has the profile {name}: its vpdn-group has no tunnels")
    return Vpdn(tuple(accept), tuple(request), found, _pools(tree), *_callers(tree))


def crypto(tree: Entry, lacks: list[str]) -> Crypto:
    """The profiles of all maps, and which map is on an interface: one that is not protects nothing."""
    profiles = []
    for entry in tree.find("crypto map"):
        if entry.words[5:6] == ("profile",):
            try:
                profiles.append(_profile(tree, entry))
            except UsageError as error:
                lacks.append(str(error))
    outside = next((one for one in tree.find("interface") if one.value("crypto map") and not one.has("shutdown")), None)
    life = f"crypto ipsec {meaning.LIFETIME}"
    if outside is None and profiles:
        lacks.append("no interface has a crypto map: nothing is protected")
    return Crypto(
        tuple(profiles),
        applied=None if outside is None else outside.value("crypto map"),
        interface="" if outside is None else outside.words[1],
        keys=meaning.keys(tree),
        lifetime_s=int(tree.value(f"{life} seconds") or 3600),
        lifetime_kb=int(tree.value(f"{life} kilobytes") or 4608000),
    )


def _profile(tree: Entry, entry: Entry) -> CryptoProfile:
    """UsageError where it has no transform set."""
    own = f"set {meaning.LIFETIME}"
    seconds, kilobytes = entry.value(f"{own} seconds"), entry.value(f"{own} kilobytes")
    return CryptoProfile(
        entry.words[2],
        int(entry.words[3]),
        entry.words[6],
        tuple(_sets(tree, entry)),
        None if seconds is None else int(seconds),
        None if kilobytes is None else int(kilobytes),
        PFS.get(entry.value("set pfs") or ""),
        entry.value("set peer"),
        entry.value("match address"),
    )


def _sets(tree: Entry, entry: Entry) -> Iterator[TransformSet]:
    """Those that the entry names, that exist and that are of ESP."""
    for name in (entry.value("set transform-set") or "").split():
        made = tree.first(f"crypto ipsec transform-set {name}")
        if made is None:
            continue
        words = list(made.words[4:])
        cipher = meaning.cipher_of(words)
        if cipher is not None:
            proof = next((HMACS[one] for one in words if one in HMACS), None)
            transport = (made.value("mode") or "").startswith("transport")
            yield TransformSet(name, cipher, proof, "transport" if transport else "tunnel")


def transforms(encryption: str, authentication: str | None) -> str:
    """As a transform set names them: "esp-3des esp-sha-hmac"."""
    ciphers = {name: word for word, name in CIPHERS.items()}
    proofs = {name: word for word, name in HMACS.items()}
    bits = encryption.removeprefix("aes-")
    cipher = ciphers.get(encryption) or ("esp-aes" if bits == "128" else f"esp-{bits}-aes")
    return f"{cipher} {proofs[authentication]}" if authentication in proofs else cipher


# --- groups ---


def _pppoe_alone(tree: Entry) -> bool:
    """Whether there are groups, and all of them are for callers that come by Ethernet."""
    dialins = [group.first("accept-dialin") for group in tree.find("vpdn-group")]
    return bool(dialins) and all(one is not None and one.value("protocol") == "pppoe" for one in dialins)


def _security(group: Entry) -> Security | None:
    words = (group.value("l2tp security crypto-profile") or "").split()
    return Security(words[0], "keep-sa" in words[1:]) if words else None


def _password(tree: Entry, group: Entry) -> Secret | None:
    found = meaning.tunnel_password(tree, group)
    return Secret(found) if found else None


def _name(tree: Entry, group: Entry) -> str:
    return group.value("local name") or tree.value("hostname") or "Router"


def _accepting(tree: Entry, lacks: list[str]) -> Iterator[AcceptGroup]:
    sources: set[str | None] = set()
    for group in tree.find("vpdn-group"):
        name, dialin = group.words[1], group.first("accept-dialin")
        if dialin is None:
            continue
        protocol, number = dialin.value("protocol"), dialin.value("virtual-template")
        if protocol == "pppoe":
            continue  # its callers come by Ethernet (meaning_pppoe)
        template = tree.first(f"interface Virtual-Template{number}") if number else None
        source = group.value("terminate-from hostname")
        pool = _pool(tree, template) if template else None
        if protocol not in ("l2tp", "any"):
            lacks.append(f"vpdn-group {name} does not speak L2TP")
        elif template is None:
            lacks.append(f"vpdn-group {name} has no virtual template, or its interface does not exist")
        elif source in sources:
            lacks.append(f"vpdn-group {name} terminates the same tunnels as one before it")
        else:
            if pool is not None and pool not in _pools(tree):
                lacks.append(f"the pool {pool} of Virtual-Template{number} does not exist")
                pool = None
            sources.add(source)
            yield AcceptGroup(
                name=name,
                local_name=_name(tree, group),
                password=_password(tree, group),
                tunnel_authentication=not group.has("no l2tp tunnel authentication"),
                security=_security(group),
                pmtu=group.has("ip pmtu"),
                df_bit="set" if group.has("ip dfbit set") else "clear",
                protocol="any" if protocol == "any" else "l2tp",
                terminate_from=source,
                renegotiation=_renegotiation(group),
                authentication=meaning_aaa.ppp_methods(template),
                pool=pool,
                lists=meaning_aaa.ppp_lists(template),
            )


def _renegotiation(group: Entry) -> Renegotiation:
    match group.value("lcp renegotiation"):
        case "always":
            return "always"
        case "on-mismatch":
            return "on-mismatch"
    return "never"


def _requesting(tree: Entry, lacks: list[str]) -> Iterator[RequestGroup]:
    taken: set[str] = set()
    for group in tree.find("vpdn-group"):
        name, dialin = group.words[1], group.first("request-dialin")
        if dialin is None:
            continue
        domains = [entry.words[1].lower() for entry in dialin.find("domain")]
        own = tuple(domain for domain in dict.fromkeys(domains) if domain not in taken)
        targets = tuple(_targets(group))
        if dialin.value("protocol") not in ("l2tp", "any"):
            lacks.append(f"vpdn-group {name} does not speak L2TP")
        elif not own or not targets:
            lacks.append(f"vpdn-group {name} has no domain of its own, or no `initiate-to`")
        else:
            taken |= set(own)
            idle = group.value("l2tp tunnel timeout no-session")
            yield RequestGroup(
                name=name,
                local_name=_name(tree, group),
                password=_password(tree, group),
                tunnel_authentication=not group.has("no l2tp tunnel authentication"),
                security=_security(group),
                pmtu=group.has("ip pmtu"),
                df_bit="set" if group.has("ip dfbit set") else "clear",
                domains=own,
                targets=targets,
                no_session_s=float(idle) if idle and idle.isdecimal() else NO_SESSION_S,
            )


def _targets(group: Entry) -> Iterator[Target]:
    for entry in group.find("initiate-to ip"):
        words = entry.words
        said = {word: int(words[n + 1]) for n, word in enumerate(words) if word in ("limit", "priority")}
        yield Target(words[2], said.get("limit"), said.get("priority", 1))


def _pool(tree: Entry, template: Entry) -> str | None:
    """The pool that the template names; where it names none and `ip address-pool local` is on, the one that is called "default"."""
    named = template.value("peer default ip address pool")
    if named is None and tree.value("ip address-pool") == "local" and DEFAULT_POOL in _pools(tree):
        return DEFAULT_POOL
    return named


def _pools(tree: Entry) -> dict[str, tuple[str, str]]:
    return {entry.words[3]: (entry.words[4], entry.words[-1]) for entry in tree.find("ip local pool")}


def _callers(tree: Entry) -> tuple[tuple[str, ...], Lists]:
    """What callers are asked on their lines, and the lists of those that stay; CHAP where no line says, since without a name nobody
    is tunnelled."""
    lines: Iterable[Entry] = (one for one in tree.find("interface") if one.words[1].startswith(LINES))
    line = next((one for one in lines if one.value("ppp authentication")), None)
    return ("chap-md5",) if line is None else meaning_aaa.ppp_methods(line), meaning_aaa.ppp_lists(line)
