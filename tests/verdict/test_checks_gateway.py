"""The checks on a gateway that is configured by its command line: of what was played, and of what a fault would have left behind.

A case is (behaviour, name, how its evidence is made of what was played, what the verdict has to say).
"""

# ruff: noqa: E501  (the cases are a table)
from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from edits import Edit, both, fields_of, first_row, in_trouble, not_done, reprinted, retold, unprinted, untold, with_frame

from harness.model import Evidence, FrameKind, Observation, Outcome, Record, RecordKind, Side
from harness.model.steps import StepBus
from harness.scenario.runner import Runner
from harness.testbed.load import check
from harness.verdict.checks import CHECKS
from harness.verdict.reading import l2tp_message, ppp, spi_of

ROOT = Path(__file__).resolve().parents[2]
GATEWAY, LINE, REFUSED = "gateway", "set nat demux", "% Invalid input detected at '^' marker."
SIDES = Side.INSIDE, Side.OUTSIDE

Which = Callable[[Evidence, Observation], bool]
Played = Callable[[str], Evidence]
Case = tuple[str, str, Callable[[Played], Evidence], str]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """The evidence of a script on the virtual IOS router, played once."""
    known: dict[str, Evidence] = {}
    with Runner(check(ROOT / "testbeds" / "virtual-ios.yaml"), tmp_path_factory.mktemp("scratch"), StepBus(time.time)) as runner:

        def evidence(name: str) -> Evidence:
            if name not in known:
                known[name] = runner.play(name, "demux", folder=tmp_path_factory.mktemp(name), time="virtual")
                assert known[name].trouble == ()
            return known[name]

        yield evidence


# -- frames, on whichever side they were seen ---------------------------------------------------------------------------------------


def message(name: str, client: str = "", number: int | None = None) -> Which:
    """ISAKMP messages of that name, of that client or of all; the `number`-th alone."""

    def which(evidence: Evidence, o: Observation) -> bool:
        if o.ike is None or o.ike.get("message") != name or o.ike.get("retransmission"):
            return False
        cookies = {i: c for one in evidence.identities if client in ("", one.client) for i, c in one.cookies}
        return str(o.ike["icookie"]) in cookies

    if number is None:
        return which
    return lambda evidence, o: which(evidence, o) and o.ike is not None and o.ike["message_id"] == _nth(evidence, which, number)


def _nth(evidence: Evidence, which: Which, number: int) -> Any:
    own = [o for o in evidence.observations[Side.OUTSIDE] if which(evidence, o)]
    return own[number].ike["message_id"] if own[number].ike is not None else None


def of_l2tp(name: str, client: str) -> Which:
    return lambda evidence, o: l2tp_message(o) == name and _owner(evidence, o) == client


def of_ppp(protocol: str, code: str, client: str, way: str = "") -> Which:
    def which(evidence: Evidence, o: Observation) -> bool:
        up = o.dst == evidence.gateway_address
        return ppp(o) == (protocol, code) and _owner(evidence, o) == client and way in ("", "up" if up else "down")

    return which


def answers_to(client: str, since: float = 0.0) -> Which:
    """Answered marks of a client, from so many seconds after the first frame on."""

    def which(evidence: Evidence, o: Observation) -> bool:
        mark = None if o.inner is None else o.inner.mark
        late = o.t >= evidence.observations[Side.OUTSIDE][0].t + since
        return late and mark is not None and mark.answer and f"c{mark.owner}" == client and o.src == evidence.gateway_address

    return which


def silent(client: str, since: float = 0.0) -> Edit:
    """The gateway answers that client no more, from so many seconds after the first frame on."""

    def unheard(evidence: Evidence) -> Evidence:
        began = evidence.observations[Side.OUTSIDE][0].t + since
        gone = {id(r) for r in evidence.records if (r.client, r.kind) == (client, RecordKind.MARK_ANSWERED) and r.t >= began}
        return replace(evidence, records=tuple(r for r in evidence.records if id(r) not in gone))

    return both(without(answers_to(client, since)), unheard)


def _owner(evidence: Evidence, o: Observation) -> str | None:
    return next((i.client for i in evidence.identities if spi_of(o) in (*i.spis_in, *i.spis_out)), None)


def changed(which: Which, change: Callable[[Observation], Observation | None]) -> Edit:
    """What `change` makes of those frames, on both sides of the NAT; None takes them away."""

    def edit(evidence: Evidence) -> Evidence:
        seen, hit = dict(evidence.observations), False
        for side in SIDES:
            made: list[Observation] = []
            for o in seen[side]:
                found = which(evidence, o)
                hit |= found
                other = change(o) if found else o
                made += [] if other is None else [other]
            seen[side] = tuple(made)
        assert hit, "there is no such frame"
        return replace(evidence, observations=seen)

    return edit


def without(which: Which) -> Edit:
    return changed(which, lambda o: None)


def ike(which: Which, **facts: Any) -> Edit:
    """With other facts; one may be made of the old value."""

    def change(o: Observation) -> Observation:
        assert o.ike is not None
        made = {name: value(o.ike.get(name)) if callable(value) else value for name, value in facts.items()}
        return replace(o, ike={**o.ike, **made})

    return changed(which, change)


def later(which: Which, seconds: float) -> Edit:
    return changed(which, lambda o: replace(o, t=o.t + seconds))


def avps(which: Which, **more: Any) -> Edit:
    """Attributes of a control message; "_" stands for a space."""

    def change(o: Observation) -> Observation:
        assert o.inner is not None
        assert o.inner.l2tp is not None
        given = {name.replace("_", " "): value for name, value in more.items()}
        l2tp = {**o.inner.l2tp, "avps": {**o.inner.l2tp.get("avps", {}), **given}}
        return replace(o, inner=replace(o.inner, l2tp=l2tp))

    return changed(which, change)


def options(which: Which, **other: Any) -> Edit:
    """Options of an LCP or IPCP packet; "_" stands for a hyphen."""

    def change(o: Observation) -> Observation:
        assert o.inner is not None
        assert o.inner.ppp is not None
        given = {name.replace("_", "-"): value for name, value in other.items()}
        return replace(o, inner=replace(o.inner, ppp={**o.inner.ppp, "options": {**o.inner.ppp.get("options", {}), **given}}))

    return changed(which, change)


def each(**values: Any) -> Callable[[list[dict[str, Any]]], list[dict[str, Any]]]:
    """Every proposal with these values."""
    return lambda proposals: [{**p, **values} for p in proposals]


# -- accounts ------------------------------------------------------------------------------------------------------------------------


def never_up(client: str) -> Edit:
    def edit(evidence: Evidence) -> Evidence:
        kept = tuple(r for r in evidence.records if not (r.client == client and r.kind is RecordKind.PPP_UP))
        assert len(kept) < len(evidence.records)
        return replace(evidence, records=kept)

    return edit


def came_up(client: str) -> Edit:
    return lambda evidence: replace(
        evidence, records=(*evidence.records, Record(evidence.steps[-1].ended, client, RecordKind.PPP_UP, {"address": "20.0.0.111"}))
    )


def addressed(client: str, address: str | None) -> Edit:
    def edit(evidence: Evidence) -> Evidence:
        made = tuple(replace(i, ppp_address=address) if i.client == client else i for i in evidence.identities)
        return replace(evidence, identities=made)

    return edit


def one_key(evidence: Evidence) -> Evidence:
    return replace(evidence, plans=tuple(replace(plan, psk=evidence.plans[0].psk) for plan in evidence.plans))


def of_release(release: str) -> Edit:
    return lambda evidence: replace(evidence, release=release)


def reprinted_in_config(text: str) -> Edit:
    """What was printed of the line where global configuration was its place."""

    def edit(evidence: Evidence) -> Evidence:
        hit = [one for one in evidence.printed if one.label == "task" and one.command == LINE and one.refused]
        assert hit
        return replace(evidence, printed=tuple(replace(one, text=text) if one in hit else one for one in evidence.printed))

    return edit


def refused_everywhere(evidence: Evidence) -> Evidence:
    def other(one: Any) -> Any:
        return replace(one, text=f"{REFUSED}\n{one.text}") if one.command == LINE else one

    return replace(evidence, printed=tuple(other(one) for one in evidence.printed))


def relabelled(command: str, label: str, source: str) -> Edit:
    """What was printed under `source` in the place of what was printed under `label`."""

    def edit(evidence: Evidence) -> Evidence:
        found = next(one for one in evidence.printed if (one.command, one.label) == (command, source))
        return reprinted(GATEWAY, command, label, text=found.text, rows=found.rows)(evidence)

    return edit


def sa_row(**values: Any) -> Callable[[Any], Any]:
    """For `rows`: the first flow with its first SA otherwise."""
    return lambda rows: (fields_of(rows[0], sas=(fields_of(rows[0].sas[0], **values), *rows[0].sas[1:])), *rows[1:])


def of(script: str, *changes: Edit) -> Callable[[Played], Evidence]:
    return lambda played: both(*changes)(played(script))


def mixed(frames: str, words: str, *changes: Edit) -> Callable[[Played], Evidence]:
    """What clients lived to see in one script, with what the router printed in another, and its release."""
    return lambda played: both(*changes)(
        replace(played(frames), printed=played(words).printed, release=played(words).release)
    )


def _question(o: Observation) -> bool:
    """Of Dead Peer Detection."""
    return o.ike is not None and any(n.get("type") == 36136 for n in o.ike.get("notifies") or ())


def _again(evidence: Evidence, o: Observation, name: str, client: str) -> bool:
    """A message sent again."""
    if o.ike is None or o.ike.get("message") != name or not o.ike.get("retransmission"):
        return False
    return any(str(o.ike["icookie"]) in {i for i, _ in one.cookies} for one in evidence.identities if one.client == client)


def _delete(evidence: Evidence, o: Observation, protocol: str) -> bool:
    """Of the gateway's, to the client that was lost."""
    lost = next(step.began for step in evidence.steps if step.name == "vanish:c3")
    down = o.src == evidence.gateway_address and o.t > lost and o.ike is not None
    return down and any(d["protocol"] == protocol for d in (o.ike or {}).get("deletes") or ())


def _second_request(evidence: Evidence) -> Evidence:
    """Client 1's third control message is an SCCRQ for another tunnel."""

    def change(o: Observation) -> Observation:
        assert o.inner is not None
        assert o.inner.l2tp is not None
        return replace(o, inner=replace(o.inner, l2tp={**o.inner.l2tp, "message": "SCCRQ", "avps": {"Assigned Tunnel ID": 1}}))

    return changed(of_l2tp("ICCN", "c1"), change)(evidence)


def _given_away(evidence: Evidence, name: str) -> Evidence:
    """The refusal of client 1's QM1 is an answer of that name."""

    def refusal(evidence: Evidence, o: Observation) -> bool:
        return message("INFO", "c1")(evidence, o) and o.src == evidence.gateway_address

    return ike(refusal, message=name)(evidence)


STRANGER = "203.0.113.99"
SAS = "show crypto ipsec sa"
IKE_SAS = "show crypto isakmp sa"
FORMS = {"DMX-55": ("static-map", "show crypto map interface FastEthernet0/0"), "DMX-56": ("dynamic-map", "show crypto dynamic-map")}
LIFE_600 = {"type": 24576, "name": "RESPONDER-LIFETIME", "data": "800100010002000400000258"}
LIFE_120 = {"type": 24576, "name": "RESPONDER-LIFETIME", "data": "800100010002000400000078"}


def start(evidence: Evidence) -> float:
    return evidence.observations[Side.OUTSIDE][0].t + 1.0


PASS: list[Case] = [
    (row, script, of(script), "")
    for script, rows in {
        "static-map": "DMX-50 DMX-55 DMX-69", "dynamic-map": "DMX-51 DMX-52 DMX-53 DMX-56", "release-before": "DMX-54", "release-with": "DMX-54",
        "example": "DMX-57 DMX-58 DMX-62 DMX-64 DMX-68", "example-keepalive": "DMX-59", "example-keys": "DMX-60 DMX-61", "map-order": "DMX-63",
        "example-ppp": "DMX-65", "example-pool": "DMX-66 DMX-67", "voluntary": "SEC-20 SEC-22 SEC-23 SEC-25 SEC-26 SEC-27",
        "voluntary-bare": "SEC-21", "voluntary-pmtu": "SEC-122", "voluntary-volume": "SEC-24",
    }.items()
    for row in rows.split()
]  # fmt: skip

FAIL: list[Case] = [
    ("DMX-50", "the line is refused", of("static-map", reprinted(GATEWAY, LINE, "line", text=REFUSED)), "was refused below"),
    ("DMX-50", "the entry is refused", of("static-map", reprinted(GATEWAY, "crypto map STATIC_MAP 5", "line", text=REFUSED)), "STATIC_MAP 5` was refused"),
    ("DMX-50", "it is taken and does nothing", mixed("release-before", "static-map"), "c1 died"),
    ("DMX-51", "the line is refused", of("dynamic-map", reprinted(GATEWAY, LINE, "line", text=REFUSED)), "was refused below"),
    ("DMX-51", "it is taken and does nothing", mixed("release-before", "dynamic-map"), "c1 died"),
    ("DMX-52", "a privileged first prompt", of("dynamic-map", reprinted(GATEWAY, "", "task", text="LNS#")), "not one of user mode"),
    ("DMX-52", "a prompt misspelt", of("dynamic-map", reprinted(GATEWAY, "enable", "task", text="LNS>")), "not 'LNS#'"),
    ("DMX-52", "another mode's", of("dynamic-map", reprinted(GATEWAY, "crypto dynamic-map DYNAMIC_MAP 10", "task", text="LNS(config)#")), "(config-crypto-map)#"),
    ("DMX-52", "exits that lead nowhere", of("dynamic-map", reprinted(GATEWAY, "exit", "task", text="LNS(config-crypto-map)#")), "after `exit`"),
    ("DMX-53", "taken everywhere", of("dynamic-map", reprinted_in_config("LNS(config)#")), "took the line"),
    ("DMX-54", "an old release takes it", of("release-before", reprinted(GATEWAY, LINE, "line", text="")), "which came later"),
    ("DMX-54", "an old release saves the client", mixed("release-with", "release-before"), "lived on all the same"),
    ("DMX-54", "a new one refuses it", of("release-with", reprinted(GATEWAY, LINE, "line", text=REFUSED)), "refused the line"),
    ("DMX-54", "a new one without effect", mixed("release-before", "release-with"), "c1 died"),
    *[(row, "not named", of(script, reprinted(GATEWAY, form, "with", text=lambda text: text.replace("NAT demux: enabled", ""))), "says nothing") for row, (script, form) in FORMS.items()],
    *[(row, "named still", of(script, relabelled(form, "without", "with")), "still speaks") for row, (script, form) in FORMS.items()],
    *[(row, "map left out", of(script, reprinted(GATEWAY, form, "with", text="NAT demux: enabled")), "does not show") for row, (script, form) in FORMS.items()],
    *[(row, "a form is refused", of(script, reprinted(GATEWAY, form, "with", text=REFUSED)), "was refused") for row, (script, form) in FORMS.items()],
    ("DMX-57", "another SPI", of("example", reprinted(GATEWAY, SAS, "two", rows=sa_row(spi="00000001"))), "is in 0 flows"),
    ("DMX-57", "too long a life", of("example", reprinted(GATEWAY, SAS, "two", rows=sa_row(left_s=3000))), "3000 s left"),
    ("DMX-57", "tunnel mode", of("example", reprinted(GATEWAY, SAS, "two", rows=sa_row(settings=("Tunnel", "UDP-Encaps")))), "listed as Tunnel"),
    ("DMX-57", "the newest only", of("example", reprinted(GATEWAY, SAS, "two", rows=lambda rows: rows[1:])), "1 flows have SAs"),
    ("DMX-57", "an SA too many", of("example", reprinted(GATEWAY, SAS, "two", rows=first_row(sas=()))), "in 0 flows"),
    ("DMX-57", "one way only", of("example", reprinted(GATEWAY, SAS, "two", rows=lambda rows: (fields_of(rows[0], sas=rows[0].sas[:1]), *rows[1:]))), "in the list"),
    ("DMX-58", "the client's own life", of("example", ike(message("QM2", "c1"), notifies=[])), "agreed for 3600 s"),
    ("DMX-58", "a late rekey", of("example", later(message("QM3", "c1", 1), 200.0)), "renewed after 680 s"),
    ("DMX-59", "asked too often", of("example-keepalive", changed(lambda e, o: _question(o) and o.t > start(e) + 4000, lambda o: replace(o, t=o.t - 3000))), "asked again after 600 s"),
    ("DMX-60", "no MM6 for who has the key", of("example-keys", without(message("MM6", "c1"))), "c1 has the key"),
    ("DMX-60", "no SA for who has the key", of("example-keys", without(message("QM3", "c1"))), "agreed no ESP SA"),
    ("DMX-60", "MM6 for another key", of("example-keys", changed(lambda e, o: _again(e, o, "MM5", "c3"), lambda o: replace(o, ike={**o.ike, "message": "MM6", "retransmission": False}))), "there was MM6"),
    ("DMX-60", "up with another key", of("example-keys", came_up("c3")), "came up"),
    ("DMX-61", "no SA by that name's key", of("example-keys", without(message("QM3", "c4"))), "agreed no ESP SA"),
    ("DMX-61", "not up by that name's key", of("example-keys", never_up("c4")), "did not come up"),
    ("DMX-62", "AES is chosen", of("example", ike(message("QM2", "c1"), proposals=each(encryption="aes-256"))), "aes-256"),
    ("DMX-62", "MD5 is chosen", of("example", ike(message("QM2", "c2"), proposals=each(authentication="md5"))), "md5"),
    ("DMX-62", "nothing is chosen", of("example", without(message("QM2", "c1"))), "nothing"),
    ("DMX-63", "the dynamic entry goes first", of("map-order", ike(message("QM2", "c1"), notifies=[LIFE_600])), "entry 5"),
    ("DMX-64", "the gateway asks for proof", of("example", avps(of_l2tp("SCCRP", "c1"), Challenge="00")), "has a Challenge"),
    ("DMX-64", "the gateway proves itself", of("example", avps(of_l2tp("SCCRP", "c1"), Challenge_Response="00")), "has a Challenge Response"),
    ("DMX-64", "no answer", of("example", without(of_l2tp("SCCRP", "c1"))), "not answered"),
    ("DMX-64", "no call", of("example", without(of_l2tp("ICRP", "c1"))), "no call"),
    ("DMX-65", "MS-CHAP first", of("example-ppp", options(of_ppp("LCP", "Configure-Request", "c1", "down"), Authentication="mschap")), "mschap first"),
    ("DMX-65", "PAP in the end", of("example-ppp", changed(lambda e, o: of_ppp("LCP", "Configure-Request", "c3", "down")(e, o) and o.inner.ppp["id"] == 3, lambda o: replace(o, inner=replace(o.inner, ppp={**o.inner.ppp, "options": {"Authentication": "pap"}})))), "was offered PAP"),
    ("DMX-65", "no MS-CHAP after the Nak", of("example-ppp", options(of_ppp("LCP", "Configure-Request", "c2", "down"), Authentication="chap-md5")), "not offered it"),
    ("DMX-65", "MS-CHAP fails", of("example-ppp", never_up("c2")), "takes MS-CHAP"),
    ("DMX-65", "CHAP fails", of("example-ppp", never_up("c1")), "takes CHAP"),
    ("DMX-65", "PAP comes up", of("example-ppp", came_up("c3")), "takes PAP alone"),
    ("DMX-66", "an address twice", of("example-pool", addressed("c2", "20.0.0.100")), "given out were"),
    ("DMX-66", "one for the twelfth", of("example-pool", addressed("c12", "20.0.0.111")), "though the pool was empty"),
    ("DMX-66", "none for one of the eleven", of("example-pool", addressed("c3", None)), "got none"),
    ("DMX-66", "a client falls silent", of("example-pool", silent("c4", since=0.6)), "c4"),
    ("DMX-67", "an excluded address", of("example-pool", addressed("c2", "20.0.0.8")), "which is excluded"),
    ("DMX-67", "one is offered", of("example-pool", options(of_ppp("IPCP", "Configure-Nak", "c5", "down"), IP_Address="20.0.0.10")), "was offered 20.0.0.10"),
    ("DMX-68", "no answer from there", of("example", silent("c2")), "c2 was answered 0"),
    ("DMX-69", "it is taken", of("static-map", retold("testbed", said="")), "was taken"),
    ("DMX-69", "nobody knows where", of("static-map", lambda e: replace(e, told=tuple(replace(one, data={**one.data, "said": one.data["said"] and "bad"}) for one in e.told))), "neither it nor a line"),
    ("SEC-20", "somebody else takes part", of("voluntary", with_frame(start, FrameKind.L2TP_CLEAR, STRANGER, "203.0.113.231")), STRANGER),
    ("SEC-20", "two tunnels", of("voluntary", lambda e: _second_request(e)), "asked for"),
    ("SEC-20", "no answers", of("voluntary", silent("c1")), "c1"),
    ("SEC-21", "an SA without authentication", of("voluntary-bare", lambda e: _given_away(e, "QM2")), "was given ESP"),
    ("SEC-21", "a session without authentication", of("voluntary-bare", came_up("c1")), "has a session"),
    ("SEC-22", "the gateway asks for proof", of("voluntary", avps(of_l2tp("SCCRP", "c1"), Challenge="00")), "has a Challenge"),
    ("SEC-22", "no call", of("voluntary", without(of_l2tp("ICRP", "c1"))), "no call"),
    ("SEC-23", "a longer life", of("voluntary", ike(message("QM2", "c1"), notifies=[LIFE_600])), "agreed for 600 s"),
    ("SEC-23", "a second tunnel", of("voluntary", lambda e: _second_request(e)), "3 times for a tunnel"),
    ("SEC-23", "silence after the rekeys", of("voluntary", silent("c1", since=481.0)), "was not answered"),
    ("SEC-24", "no limit is told", of("voluntary-volume", ike(message("QM2"), notifies=[])), "was told of 250000 kB"),
    ("SEC-24", "no successor", of("voluntary-volume", without(message("QM3", "c1", 1))), "no other took its place"),
    ("SEC-24", "it carries more", of("voluntary-volume", changed(lambda e, o: spi_of(o) is not None, lambda o: replace(o, length=o.length * 2))), "carried"),
    ("SEC-25", "the global life", of("voluntary", ike(message("QM2", "c1"), notifies=[LIFE_600])), "given 600"),
    ("SEC-26", "the router's life", of("voluntary", ike(message("QM2", "c2"), proposals=each(lifetime_s=120))), "agreed for 120 s"),
    ("SEC-26", "a late rekey", of("voluntary", later(message("QM3", "c2", 2), 50.0)), "renewed after 130 s"),
    ("SEC-26", "the list has another", of("voluntary", reprinted(GATEWAY, SAS, "up", rows=lambda rows: tuple(fields_of(row, sas=tuple(fields_of(sa, left_s=118) for sa in row.sas)) for row in rows))), "gives c2's SAs"),
    ("SEC-26", "the list has none", of("voluntary", reprinted(GATEWAY, SAS, "up", rows=lambda rows: rows[:1])), "lists no SA of c2"),
    *[("SEC-27", f"{table} has something left ({label})", of("voluntary", relabelled(table, label, "up")), "still shows") for table in (SAS, IKE_SAS) for label in ("hung up", "lost")],
    ("SEC-122", "a black hole", of("voluntary-pmtu", untold("unreachable")), "1420 bytes were swallowed"),
    ("SEC-122", "no less", of("voluntary-pmtu", retold("unreachable", mtu=1460)), "told that 1460 would fit"),
    ("SEC-122", "it does not fit", of("voluntary-pmtu", retold("unreachable", mtu=1410)), "were not answered"),
    ("SEC-27", "no Delete of phase 2", of("voluntary", changed(lambda e, o: _delete(e, o, "esp"), lambda o: None)), "no Delete of phase 2"),
    ("SEC-27", "no Delete of phase 1", of("voluntary", changed(lambda e, o: _delete(e, o, "isakmp"), lambda o: None)), "no Delete of phase 1"),
]

INCONCLUSIVE: list[Case] = [
    ("DMX-50", "not typed", of("static-map", unprinted(GATEWAY, LINE)), "was not asked"),
    ("DMX-50", "trouble", of("static-map", in_trouble), "half up"),
    ("DMX-50", "not behind one NAT", of("static-map", lambda e: replace(e, plans=(e.plans[0], replace(e.plans[1], site=2)))), "one NAT"),
    ("DMX-51", "not typed", of("dynamic-map", unprinted(GATEWAY, LINE)), "was not asked"),
    ("DMX-52", "not walked", of("static-map"), "was not typed"),
    ("DMX-52", "a password is asked", of("dynamic-map", reprinted(GATEWAY, "enable", "task", text="Password:")), "asked something"),
    ("DMX-53", "taken nowhere", of("dynamic-map", refused_everywhere), "no entry took the line"),
    ("DMX-53", "not walked", of("static-map"), "was not typed"),
    ("DMX-54", "no release", of("release-before", of_release("")), "which release"),
    ("DMX-54", "all is refused", of("release-before", reprinted(GATEWAY, "set transform-set AES256 AES TS1", "line", text=REFUSED)), "every release"),
    *[(row, "not asked", of(script, unprinted(GATEWAY, form)), "was not asked") for row, (script, form) in FORMS.items()],
    ("DMX-57", "not understood", of("example", reprinted(GATEWAY, SAS, "two", unread=("?",))), "not wholly understood"),
    ("DMX-57", "not asked", of("example", unprinted(GATEWAY, SAS)), "was not asked"),
    ("DMX-57", "no SA agreed", of("example", without(message("QM3", "c1"))), "had agreed 0"),
    ("DMX-58", "not watched", of("example-ppp"), "two lifetimes"),
    ("DMX-58", "the client wants no more", of("example", ike(message("QM1", "c1"), proposals=each(lifetime_s=600))), "not the router's doing"),
    ("DMX-59", "nobody was asked", of("example-keepalive", without(lambda e, o: _question(o))), "no interval"),
    ("DMX-59", "no DPD", of("example-ppp"), "does not announce"),
    ("DMX-60", "nobody with another key", of("example-keys", one_key), "no client had another key"),
    ("DMX-60", "not put to the test", of("example-keys", without(lambda e, o: message("MM5", "c3")(e, o) or _again(e, o, "MM5", "c3"))), "not put to the test"),
    ("DMX-60", "one address", of("example-ppp"), "two addresses"),
    ("DMX-61", "everybody's key", of("example-keys", one_key), "everybody's key"),
    ("DMX-61", "no name is said", of("example-keys", ike(message("AM1", "c4"), ids=[])), "nobody"),
    ("DMX-61", "main mode alone", of("example-keys", without(message("AM1", "c4"))), "in time"),
    ("DMX-62", "no other is wanted", of("example-keepalive"), "rather have another"),
    ("DMX-63", "no SA", of("map-order", without(message("QM3", "c2"))), "not every client"),
    ("DMX-63", "all are the static entry's", of("example"), "both kinds"),
    ("DMX-64", "the client asks for proof", of("example", avps(of_l2tp("SCCRQ", "c1"), Challenge="00")), "prove itself"),
    ("DMX-64", "no request", of("example", without(lambda e, o: l2tp_message(o) == "SCCRQ")), "nothing that this check"),
    ("DMX-65", "no Naks", of("example"), "refused CHAP"),
    ("DMX-65", "nothing is offered", of("example-ppp", without(of_ppp("LCP", "Configure-Request", "c1", "down"))), "was offered no"),
    ("DMX-66", "the pool is not exhausted", of("example-ppp"), "exhaust"),
    ("DMX-66", "the twelfth proves nothing", of("example-pool", without(of_ppp("CHAP", "Success", "c12"))), "as far as"),
    ("DMX-67", "the pool is not exhausted", of("example-ppp"), "not exhausted"),
    ("DMX-68", "marks to the gateway", of("example-keepalive"), "behind the static route"),
    ("DMX-69", "not loaded", of("static-map", untold("testbed")), "was loaded"),
    ("DMX-69", "refused as it is", of("static-map", retold("testbed", said="testbed.yaml:3: no")), "as it is"),
    ("SEC-20", "trouble", of("voluntary", in_trouble), "half up"),
    ("SEC-21", "nobody is served", of("voluntary-bare", never_up("c2")), "nobody came up"),
    ("SEC-21", "nobody offers it", of("voluntary"), "nobody offered"),
    ("SEC-22", "the client asks for proof", of("voluntary", avps(of_l2tp("SCCRQ", "c1"), Challenge="00")), "prove itself"),
    ("SEC-23", "too few rekeys", of("voluntary", without(lambda e, o: message("QM3", "c1")(e, o) and o.t > start(e) + 300)), "5 are needed"),
    ("SEC-24", "too little", of("voluntary"), "too little"),
    ("SEC-25", "nobody proposes more", of("voluntary", ike(message("QM1"), proposals=each(lifetime_s=100))), "nobody proposed"),
    ("SEC-26", "nobody proposes less", of("voluntary", ike(message("QM1"), proposals=each(lifetime_s=3600))), "nobody proposed"),
    ("SEC-26", "not asked", of("voluntary", unprinted(GATEWAY, SAS)), "was not asked"),
    ("SEC-122", "no answer at all", of("voluntary-pmtu", retold("pinged", answered=False)), "never answered"),
    ("SEC-122", "nothing was asked", of("voluntary"), "never answered"),
    ("SEC-27", "nothing was there", of("voluntary", relabelled(IKE_SAS, "up", "lost")), "says nothing"),
    ("SEC-27", "nobody was lost", of("voluntary", not_done("vanish:c3")), "was lost"),
]


@pytest.mark.parametrize("case", PASS, ids=[f"{case[0]} {case[1]}" for case in PASS])
def test_what_is_sound_passes(case: Case, played: Played) -> None:
    _judged(case, played, Outcome.PASS)


@pytest.mark.parametrize("case", FAIL, ids=[f"{case[0]} {case[1]}" for case in FAIL])
def test_what_a_fault_leaves_behind_fails(case: Case, played: Played) -> None:
    _judged(case, played, Outcome.FAIL)


@pytest.mark.parametrize("case", INCONCLUSIVE, ids=[f"{case[0]} {case[1]}" for case in INCONCLUSIVE])
def test_what_says_nothing_is_inconclusive(case: Case, played: Played) -> None:
    _judged(case, played, Outcome.INCONCLUSIVE)


def _judged(case: Case, played: Played, wanted: Outcome) -> None:
    behaviour, _, make, says = case
    verdict = CHECKS[behaviour](make(played))
    assert verdict.outcome is wanted, verdict.because
    assert says in verdict.because
