"""Mutants of harness/virtual that nobody chose: which are tried, with which tests, and which no test noticed.

`reports/prove/mutants.jsonl` holds a line for each that was tried, {"mutant", "by", "took", "survived", "fingerprint"}.
"""

from __future__ import annotations

import json
import queue
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.catalogue import SUITES
from harness.programme import DEFAULT_TESTBED
from harness.prove import ledger
from harness.prove.account import Mutants
from harness.prove.mutation import Mutant, sample
from harness.prove.predictions import survivors
from harness.prove.trial import TIME_OUT, Copy, Stage, Trial

ROOT = SUITES.parent
KEPT = ROOT / "reports" / "prove" / "mutants.jsonl"
SAMPLED = "harness/virtual"
ROUTERS_TESTS = "tests/lab/test_router_process.py"
OWN_TESTS = ("tests/virtual", "tests/lab/test_virtual_gateway.py", "tests/lab/test_virtual_sockets.py", ROUTERS_TESTS)
"""The sampled code's own. What else runs along (clients, suites) decides of few mutants, and changes too often to try all of them
again each time: --fresh does."""

PROCESS = frozenset(("process.py", "sockets.py", "control.py", "witness.py"))
"""What makes a process of the core. Virtual time does without, so it has tests of its own, in namespaces."""
ROUTERS_PROCESS = "ios/process.py"
"""The same of a router."""

CHURN = "tests/virtual/test_churn.py"
STRONGSWAN, FREERADIUS = "tests/virtual/vpn/test_strongswan.py", "tests/virtual/ios/test_aaa_by_freeradius.py"
GENIE = "tests/virtual/ios/test_genie.py"
"""Reads what no other test reads but to the letter, and takes as long as all of those together: not asked."""
SUITES_OPTIONS = (
    "-p", "allure_pytest.plugin", "--time=virtual", f"--testbed={DEFAULT_TESTBED.relative_to(ROOT)}", "--seed=1"
)  # fmt: skip
STAGES = (
    Stage("the unit tests", "tests/virtual", tuple(f"--ignore={one}" for one in (CHURN, STRONGSWAN, FREERADIUS, GENIE))),
    Stage("the unit tests that take longest", CHURN, runs=lambda file: file not in PROCESS),
    Stage("tunnels with strongSwan", STRONGSWAN, runs=lambda file: file.startswith("vpn_"), timed=True),
    Stage("accounting by FreeRADIUS", FREERADIUS, runs=lambda file: file.startswith("aaa/"), timed=True),
    Stage("the sockets' tests", "tests/lab/test_virtual_sockets.py", runs=lambda file: file == "sockets.py", timed=True),
    Stage("the process's tests", "tests/lab/test_virtual_gateway.py", runs=lambda file: file in PROCESS, timed=True),
    Stage("the router's process's tests", ROUTERS_TESTS, runs=lambda file: file == ROUTERS_PROCESS, timed=True),
    Stage(
        "the suites in virtual time",
        "suites",
        # The two scenarios that take longest (more than the others together) have their like among the unit tests.
        (*SUITES_OPTIONS, "-k", "not churn and not rekey-storm"),
        runs=lambda file: file not in (*PROCESS, ROUTERS_PROCESS),
    ),
)


class Records:
    """The file: what was tried of this code, and of other code before."""

    def __init__(self, path: Path = KEPT, root: Path = ROOT) -> None:
        self.path = path
        self.root = root
        self._lines: list[dict[str, Any]] = [json.loads(line) for line in ledger.whole_lines(path)]
        self._fingerprints: dict[tuple[str, ...], str] = {}

    def fingerprint(self, by: str) -> str:
        """Of what decided a trial: the sampled code, and the file of the test that noticed the mutant; where none did, or none is
        named, all tests that might have. Another test more makes no noticed mutant unnoticed."""
        file, named, _ = by.partition("::")
        return self._digest(*((file, str(Path(file).with_name("conftest.py"))) if named else OWN_TESTS))

    def _digest(self, *tests: str) -> str:
        """Of the sampled code, and of these."""
        if tests not in self._fingerprints:
            self._fingerprints[tests] = ledger.fingerprint(self.root, (SAMPLED, *tests))
        return self._fingerprints[tests]

    def add(self, trial: Trial) -> None:
        """On disk before this returns."""
        line = asdict(trial) | {"survived": trial.survived, "fingerprint": self.fingerprint(trial.by), "code": self._digest()}
        ledger.append(self.path, json.dumps(line, ensure_ascii=False))
        self._lines.append(line)

    @property
    def tried(self) -> dict[str, str]:
        """Of this code, by these tests: mutant → the test that noticed, "" for a survivor. None of them is tried again."""
        return {one["mutant"]: one["by"] for one in self._lines if self._holds(one)}

    @property
    def standing(self) -> dict[str, str]:
        """The same with those that survived any tests of this code, until they are tried again: no test that is added, or changed,
        makes a survivor go away by itself."""
        return {
            one["mutant"]: one["by"]
            for one in self._lines
            if self._holds(one) or (not one["by"] and one.get("code") == self._digest())
        }

    def _holds(self, line: dict[str, Any]) -> bool:
        return bool(line["fingerprint"] == self.fingerprint(line["by"]))

    @property
    def suspects(self) -> dict[str, str]:
        """Of any code: mutant → the test that last noticed it."""
        return {one["mutant"]: one["by"] for one in self._lines if one["by"]}


def hunt(wanted: int, seed: int, jobs: int, records: Records, say: Callable[[str], None]) -> Mutants:
    """Tries a sample: those of it that were not tried before. What the sample, and it alone, comes to."""
    chosen = sample(ROOT / SAMPLED, wanted, seed, configured=ROOT)
    before = records.tried
    left = [mutant for mutant in chosen if mutant.name not in before]
    say(f"{len(chosen)} mutants of {SAMPLED}, seed {seed}: {len(chosen) - len(left)} were tried before, {len(left)} to try")
    for number, trial in enumerate(_tried(left, min(jobs, len(left)), records.suspects), 1):
        records.add(trial)
        say(f"[{number}/{len(left)}] {trial.by or 'SURVIVED'} ({trial.took:.0f} s)  {trial.mutant}")
    tried = records.tried
    by = {mutant.name: tried[mutant.name] for mutant in chosen}
    late = sum(one.startswith(TIME_OUT) for one in by.values())
    found = told(by)
    noticed = f"{found.tried - found.left} noticed ({late} of them by running too long)"
    say(f"seed {seed}: {found.tried} tried, {noticed}, {found.left} survived")
    return found


def _tried(mutants: Sequence[Mutant], jobs: int, suspects: dict[str, str]) -> Iterator[Trial]:
    """In the order in which they end; `jobs` copies of the project at once."""
    if not mutants:
        return
    copies: queue.SimpleQueue[Copy] = queue.SimpleQueue()

    def one(mutant: Mutant) -> Trial:
        copy = copies.get()
        try:
            return copy.try_out(mutant, suspect=suspects.get(mutant.name, ""))
        finally:
            copies.put(copy)

    with ThreadPoolExecutor(jobs) as pool:
        made: list[Copy] = []
        try:
            for copy in pool.map(lambda _: Copy(ROOT, SAMPLED, STAGES), range(jobs)):
                made.append(copy)
                copies.put(copy)
            futures: list[Future[Trial]] = [pool.submit(one, mutant) for mutant in mutants]
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            for copy in made:
                copy.close()


def told(by: dict[str, str]) -> Mutants:
    """Mutants with what noticed them ("": nothing), and what is said of the survivors."""
    explained = survivors()
    return Mutants(len(by), {name: explained.get(name, "") for name, test in by.items() if not test})


def tally(records: Records) -> Mutants:
    """All that was tried of this code, whatever the seed."""
    return told(records.standing)
