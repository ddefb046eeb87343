"""Starting nodes of an EVE-NG lab: asked for at once, waited for with a bound, and tried again where one dies as it boots."""

from __future__ import annotations

from collections.abc import Callable

from harness.errors import LabError
from harness.lab.providers.eve_ng_api import RUNNING, STOPPED, EveNgApi, EveNode
from harness.lab.providers.eve_ng_http import Refused
from harness.lab.providers.eve_ng_ledger import Ledger, Started
from harness.lab.providers.eve_ng_undo import POLL_S

START_TRIES = 3
LAPSES = 3
"""Polls in a row that find a node stopped after EVE-NG has started it: it has died."""


class Starting:
    """Of one lab. Each node that is asked to start stands in the ledger before."""

    def __init__(
        self, api: EveNgApi, ledger: Ledger, timeout_s: float, clock: Callable[[], float], sleep: Callable[[float], None]
    ) -> None:
        self._api = api
        self._ledger = ledger
        self._timeout_s = timeout_s
        self._clock = clock
        self._sleep = sleep

    def all_of(self, nodes: list[EveNode]) -> None:
        """Asks for all of them, then waits for all of them: they boot side by side."""
        until = self._clock() + self._timeout_s
        tries = {node.number: 0 for node in nodes}
        lapses = dict.fromkeys(tries, 0)
        said = dict.fromkeys(tries, "")
        waiting = {node.number: node for node in nodes}
        for node in nodes:
            if node.status == STOPPED:
                said[node.number] = self._try_to_start(node, tries)
        while waiting:
            now = self._api.nodes()
            for number, node in list(waiting.items()):
                status = now[number].status if number in now else STOPPED
                lapses[number] = lapses[number] + 1 if status == STOPPED else 0
                if status == RUNNING:
                    del waiting[number]
                elif number not in now:
                    raise LabError(f"start node {node.name}", "it was taken out of the lab", "let nobody edit the lab meanwhile")
                elif self._clock() >= until or (lapses[number] >= LAPSES and tries[number] >= START_TRIES):
                    raise self._not_started(now[number], tries[number], said[number])
                elif lapses[number] >= LAPSES:
                    lapses[number] = 0
                    said[number] = self._try_to_start(node, tries) or said[number]
            if waiting:
                self._sleep(POLL_S)

    def _try_to_start(self, node: EveNode, tries: dict[int, int]) -> str:
        """What EVE-NG said against it; "" where it agreed."""
        tries[node.number] += 1
        entry = Started(node.number, node.name)
        if entry not in self._ledger.entries:
            self._ledger.did(entry)
        try:
            self._api.start(node)
        except Refused as error:
            return error.message
        return ""

    def _not_started(self, node: EveNode, tries: int, said: str) -> LabError:
        times = f"it is {node.word} after {tries} tries" if tries else f"it is {node.word}, and was so when we came"
        seen = times + (f"; EVE-NG says: {said}" if said else f" and {self._timeout_s:g} s at most")
        log = f"ssh root@{self._api.session.host} tail -n 50 /opt/unetlab/data/Logs/unl_wrapper.txt"
        image = f"{node.image or 'no image'} of template {node.template}"
        cure = f"is its image there ({image}), and memory enough? {log}"
        return LabError(f"start node {node.name} of {self._api.lab}", seen, cure)
