"""What a router takes, refuses and shows of `set nat demux`: the task's steps, and who lives by them.

A line that is taken has to have its effect, so what clients live to see stands beside what was printed. Wordings that the document
does not give are kept as facts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from harness.model import Printed, Verdict
from harness.model.ios_releases import has, parse
from harness.verdict.findings import Findings, require
from harness.verdict.killer import deaths
from harness.verdict.reading import Reading
from harness.verdict.routers.reading import printed, told
from harness.verdict.survival import trusted_lives
from harness.verdict.survivors import LOSS_BUDGET, expect_alive, lost_in_words
from harness.verdict.trust import TRAFFIC, Need, check

GATEWAY = "gateway"
LINE = "set nat demux"
DEMUX = re.compile(r"demux", re.IGNORECASE)

USER, PRIVILEGED, CONFIG, MAP = ">", "#", "(config)#", "(config-crypto-map)#"
TASK = "task"
"""The label of the task's steps, and of the line where it has no place."""


@check(*TRAFFIC, Need.PRINTED)
def static_map_entry_takes_the_line(reading: Reading) -> Verdict:
    """Scenario "static-map": `crypto map STATIC_MAP 5` takes the line, and two clients behind one NAT live by it."""
    return _taken_and_active(reading, "crypto map STATIC_MAP 5")


@check(*TRAFFIC, Need.PRINTED)
def dynamic_map_entry_takes_the_line(reading: Reading) -> Verdict:
    """Scenario "dynamic-map": `crypto dynamic-map DYNAMIC_MAP 10` takes the line, and two clients behind one NAT live by it."""
    return _taken_and_active(reading, "crypto dynamic-map DYNAMIC_MAP 10")


def _taken_and_active(reading: Reading, entry: str) -> Verdict:
    section, line = (printed(reading.evidence, GATEWAY, one, "line") for one in (entry, LINE))
    _require_one_nat(reading)
    f = Findings(said={entry: section.text, LINE: line.text})
    f.expect(not section.refused, f"`{entry}` was refused: {section.refused}")
    f.expect(not line.refused, f"`{LINE}` was refused below `{entry}`: {line.refused}")
    found = expect_alive(f, reading, at_least=2, loss_budget=LOSS_BUDGET)
    return f.verdict(f"`{entry}` took the line, and {len(found)} clients live by it; {lost_in_words(found)}")


def _require_one_nat(reading: Reading) -> None:
    sites = {plan.site for plan in reading.evidence.plans}
    together = sites == {1} and len(reading.clients) >= 2
    require(together, "fewer than two clients were behind one NAT, so the line made no difference")


@check(Need.PRINTED)
def each_step_has_its_prompt(reading: Reading) -> Verdict:
    """Scenario "dynamic-map": the task from the console's first prompt on, for a static entry and for a dynamic one."""
    steps = _task(reading)
    f = Findings(prompts=[[one.command, _prompt(one)] for one in steps])
    first = _prompt(steps[0])
    host = first.removesuffix(USER)
    f.expect(first.endswith(USER), f"the first prompt is {first!r}, not one of user mode")
    mode = USER
    for one in steps[1:]:
        mode = _leads_to(one.command, mode)
        f.expect(_prompt(one) == host + mode, f"after `{one.command}` the prompt is {_prompt(one)!r}, not {host + mode!r}")
    maps = [one for one in steps if _prompt(one).endswith(MAP) and one.command.startswith("crypto ")]
    require(len(maps) >= 2 or bool(f.faults), "the task was not done for both kinds of map")
    return f.verdict(f"{len(steps)} prompts as documented: {' '.join(dict.fromkeys(_prompt(one) for one in steps))}")


def _leads_to(command: str, mode: str) -> str:
    if command == "enable":
        return PRIVILEGED
    if command == "configure terminal":
        return CONFIG
    if command.startswith("crypto "):
        return MAP
    if command == "exit":
        return CONFIG if mode == MAP else PRIVILEGED
    return mode


@check(Need.PRINTED)
def global_configuration_refuses_the_line(reading: Reading) -> Verdict:
    """Scenario "dynamic-map": the line is refused in global configuration, by a router that took it in a map's entry."""
    steps = _task(reading)
    before = {id(one): _prompt(last) for last, one in pairwise(steps)}
    lines = [one for one in steps[1:] if one.command == LINE]
    below = [one for one in lines if before[id(one)].endswith(MAP)]
    outside = [one for one in lines if before[id(one)].endswith(CONFIG)]
    require(any(not one.refused for one in below), "no entry took the line, so that its refusal elsewhere says nothing")
    require(bool(outside), "the line was not typed in global configuration")
    f = Findings(said=[one.text for one in outside])
    for one in outside:
        f.expect(bool(one.refused), "global configuration took the line")
    return f.verdict(f"global configuration refused the line: {outside[0].refused}")


def _task(reading: Reading) -> list[Printed]:
    steps = [one for one in reading.evidence.printed if (one.device, one.label) == (GATEWAY, TASK)]
    require(len(steps) > 1, "the task was not typed on the console")
    asked = next((one.command for one in steps if _prompt(one).endswith(":")), None)
    require(asked is None, f"the router asked something after `{asked}`, so no prompt followed it")
    return steps


def _prompt(one: Printed) -> str:
    return one.text.rpartition("\n")[2].strip()


@check(*TRAFFIC, Need.PRINTED)
def only_releases_with_the_feature_take_the_line(reading: Reading) -> Verdict:
    """Scenarios "release-before", "release-with": whether a release takes the line, by the document's history; what every release
    knows it takes. Where it was refused the newcomer still cuts off the client before it, where it was taken both live."""
    release = reading.evidence.release
    require(bool(release), "nothing says which release the router has")
    line = printed(reading.evidence, GATEWAY, LINE, "line")
    others = [one for one in reading.evidence.printed if one.label == "line" and one.command != LINE]
    require(bool(others) and not any(one.refused for one in others), "the router refused what every release takes")
    _require_one_nat(reading)
    wanted = has("nat-demux", parse(release))
    f = Findings(release=release, said=line.text)
    if wanted:
        f.expect(not line.refused, f"{release} refused the line: {line.refused}")
        expect_alive(f, reading, at_least=2, loss_budget=LOSS_BUDGET)
        return f.verdict(f"{release} took the line, and both clients live by it")
    f.expect(bool(line.refused), f"{release} took the line, which came later")
    lives = trusted_lives(reading)
    require(all(life.up is not None for life in lives.values()), "not everybody came up, so nobody could cut anybody off")
    killed = {death.victim for death in deaths(reading, lives)}
    first = reading.arrivals()[0]
    f.facts["killed"] = sorted(killed)
    f.expect(first in killed, f"{release} refused the line, and {first} lived on all the same when the next client came")
    return f.verdict(f"{release} refused the line ({line.refused}), and {first} died as the next client came")


@check(Need.PRINTED)
def crypto_map_shows_the_line(reading: Reading) -> Verdict:
    """Scenario "static-map": each form of `show crypto map` names the attribute while the line is there, and not without it."""
    forms = "show crypto map", "show crypto map interface FastEthernet0/0", "show crypto map tag STATIC_MAP"
    return _shown(reading, "STATIC_MAP", forms)


@check(Need.PRINTED)
def dynamic_map_shows_the_line(reading: Reading) -> Verdict:
    """Scenario "dynamic-map": the same of both forms of `show crypto dynamic-map`."""
    return _shown(reading, "DYNAMIC_MAP", ("show crypto dynamic-map", "show crypto dynamic-map tag DYNAMIC_MAP"))


def _shown(reading: Reading, name: str, forms: Sequence[str]) -> Verdict:
    f = Findings(wording={})
    for form in forms:
        there, gone = (printed(reading.evidence, GATEWAY, form, label) for label in ("with", "without"))
        for said in (there, gone):
            f.expect(not said.refused, f"`{form}` was refused: {said.refused}")
            f.expect(name in said.text, f"`{form}` does not show {name}")
        words = [line.strip() for line in there.text.splitlines() if DEMUX.search(line)]
        f.facts["wording"][form] = words
        f.expect(bool(words), f"`{form}` says nothing of the line that {name} has")
        f.expect(not DEMUX.search(gone.text), f"`{form}` still speaks of the line that was taken out of {name}")
    return f.verdict(f"{len(forms)} forms show the line while it is there: {f.facts['wording']}")


@check(Need.PRINTED)
def impossible_addresses_are_refused(reading: Reading) -> Verdict:
    """Scenario "static-map": a testbed that names an address of the document's figure, one octet of which is above 255, is refused
    by that address and its line; as it is, it is taken."""
    asked = {str(one.data["address"]): str(one.data["said"]) for one in told(reading.evidence, "testbed")}
    wrong = [address for address in asked if any(int(octet) > 255 for octet in address.split("."))]
    require(bool(wrong), "no testbed with an impossible address was loaded")
    require(any(not said for address, said in asked.items() if address not in wrong), "the testbed is refused as it is")
    f = Findings(said={address: asked[address] for address in wrong})
    for address in wrong:
        f.expect(bool(asked[address]), f"a testbed with {address} was taken")
        located = address in asked[address] and bool(re.search(r":[0-9]+", asked[address]))
        f.expect(located or not asked[address], f"what is said of a testbed with {address} names neither it nor a line")
    return f.verdict(f"refused by address and line: {', '.join(wrong)}")
