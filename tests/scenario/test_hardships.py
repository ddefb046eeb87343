"""What goes wrong, played for real (strongSwan, xl2tpd, a kernel's NAT).

The client says which stage failed and why, the others live on, and the run ends with a verdict that names who failed and, where the
captures show it, the box to blame.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.model import Evidence, FrameKind, Outcome, Record, RecordKind, Side, Verdict
from harness.report.story import Headline, Tone
from harness.scenario.hardships import HARDSHIPS

ROOT = Path(__file__).parents[2]
PLAY = [sys.executable, str(ROOT / "tests/scenario/play_hardships.py")]
pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("ready_machine")]


@dataclass(frozen=True)
class Played:
    evidence: Evidence
    verdicts: dict[str, Verdict]
    head: Headline

    def of(self, client: str, kind: RecordKind) -> list[Record]:
        return [r for r in self.evidence.records_of(client) if r.kind is kind]

    def failure(self, client: str) -> dict[str, Any]:
        (record,) = self.of(client, RecordKind.FAILED)
        return dict(record.data)

    def marks(self, client: str) -> tuple[int, int]:
        """Sent, and answered."""
        return len(self.of(client, RecordKind.MARK_SENT)), len(self.of(client, RecordKind.MARK_ANSWERED))

    def life(self, client: str) -> dict[str, Any]:
        return dict(self.verdicts["survival"].facts["clients"][client])

    def seen(self, message: str, source: str) -> int:
        """How often an IKE message of that name came from `source`, inside the NAT."""
        frames = self.evidence.observations[Side.INSIDE]
        return sum(o.src == source and o.ike is not None and o.ike["message"] == message for o in frames)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """They are played on two labs at once: most of the time is spent waiting for what does not come."""
    folder = tmp_path_factory.mktemp("hardships")
    names = list(HARDSHIPS)
    runs = []
    for part in (names[::2], names[1::2]):
        command = [*PLAY, str(folder), "demux-kernel", *part]
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        runs.append(subprocess.Popen(command, text=True, cwd=ROOT, **quiet))
    told = [run.communicate(timeout=900)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], "\n".join(told)
    return folder


@pytest.fixture(scope="session")
def played(folder: Path) -> Callable[[str], Played]:
    def load(name: str) -> Played:
        return Played(*pickle.loads((folder / name / "evidence.pickle").read_bytes())[:3])

    return load


@pytest.fixture
def misfits(played: Callable[[str], Played]) -> Played:
    return played("misfits")


@pytest.fixture
def silence(played: Callable[[str], Played]) -> Played:
    return played("silence")


@pytest.fixture
def death(played: Callable[[str], Played]) -> Played:
    return played("death")


@pytest.fixture
def amnesia(played: Callable[[str], Played]) -> Played:
    return played("amnesia")


@pytest.fixture
def outage(played: Callable[[str], Played]) -> Played:
    return played("outage")


@pytest.fixture
def litter(played: Callable[[str], Played]) -> Played:
    return played("litter")


def survived(told: Played) -> set[str]:
    """What all live through: garbage, a short cut, and a NAT that forgot at a moment when nothing was under way to a client."""
    lost = any(sent > answered for sent, answered in map(told.marks, ("c1", "c2")))
    return {"litter", "outage"} | (set() if lost else {"amnesia"})


@pytest.mark.parametrize("name", HARDSHIPS)
def test_every_run_ends_with_a_verdict(name: str, played: Callable[[str], Played]) -> None:
    told = played(name)
    assert told.evidence.trouble == ()
    assert told.head.tone is not Tone.UNTRUSTED
    assert told.verdicts["survival"].outcome is (Outcome.PASS if name in survived(told) else Outcome.FAIL)
    assert all(r.kind is not RecordKind.IMPAIRED for r in told.evidence.records)


# Wrong secrets, no common proposal


def test_a_wrong_key_shows_at_the_identities(misfits: Played) -> None:
    failure = misfits.failure("c2")
    assert failure["stage"] == misfits.life("c2")["stage"] == "main mode"
    assert failure["reason"].startswith("no answer to MM5 after 3 tries")
    assert failure["reason"].endswith("the usual sign that the pre-shared keys differ")
    assert misfits.seen("MM5", misfits.evidence.identity("c2").inside) == 3
    assert misfits.seen("MM6", misfits.evidence.gateway_address) == 3  # c1, c3 and c5: a secret that is right comes this far


def test_a_wrong_password_shows_at_the_authentication(misfits: Played) -> None:
    failure = misfits.failure("c3")
    assert failure["stage"] == misfits.life("c3")["stage"] == "PPP authentication"
    assert failure["reason"] == "MS-CHAPv2 failure E=691 (wrong user name or password)"
    frames = [o for o in misfits.evidence.observations[Side.INSIDE] if o.dst == misfits.evidence.identity("c3").inside]
    assert "Failure" in {o.inner.ppp["code"] for o in frames if o.inner and o.inner.ppp}


@pytest.mark.parametrize(("client", "stage"), [("c4", "main mode"), ("c5", "quick mode")])
def test_no_common_proposal_is_told_by_its_phase(client: str, stage: str, misfits: Played) -> None:
    assert misfits.failure(client)["reason"] == "NO_PROPOSAL_CHOSEN from the peer"
    assert misfits.failure(client)["stage"] == misfits.life(client)["stage"] == stage


def test_a_bystander_notices_nothing_of_them(misfits: Played) -> None:
    sent, answered = misfits.marks("c1")
    assert sent == answered > 20
    others = [misfits.evidence.step(f"connect:{client}") for client in ("c2", "c3", "c4", "c5")]
    during = [r for r in misfits.of("c1", RecordKind.MARK_ANSWERED) if others[0].began < r.t < max(s.ended for s in others)]
    assert len(during) > 5
    assert not misfits.of("c1", RecordKind.GARBAGE)


def test_a_client_s_own_mistake_is_not_the_gateway_s(misfits: Played) -> None:
    assert misfits.head.blame == ("client",)
    assert misfits.head.kills == ()
    assert misfits.head.never_up == ("c2", "c3", "c4", "c5")
    for said in ("client 2 never came up: main mode", "client 3 never came up: PPP authentication", "client 1 lives"):
        assert said in misfits.head.sentence


# A gateway that falls silent, one that dies


def test_a_gateway_that_falls_silent_is_to_blame_and_nobody_s_arrival(silence: Played) -> None:
    assert silence.head.blame == ("gateway",)
    assert [(kill.killer, kill.victims) for kill in silence.head.kills] == [("", ("c1",))]
    assert silence.life("c1")["end"] == "the gateway fell silent"
    assert "towards everybody" in silence.head.sentence
    (ended,) = silence.of("c1", RecordKind.ENDED)
    assert ended.data["cause"] == "LCP: no answer to 3 LCP Echo-Requests"
    assert ended.data["by"] == "silence"


def test_whoever_was_half_way_up_says_what_went_unanswered(silence: Played, death: Played) -> None:
    for told in (silence, death):
        failure = told.failure("c2")
        assert failure["stage"] == told.life("c2")["stage"]
        assert failure["stage"] != "main mode"  # it had come further
        assert failure["reason"].startswith(("no answer to ", "no acknowledgement of "))


def test_whoever_dials_a_silent_gateway_says_so(silence: Played) -> None:
    assert silence.failure("c3") == {"stage": "main mode", "reason": "no answer to MM1 after 3 tries", "message": "MM1", "tries": 3}
    assert silence.seen("MM1", silence.evidence.identity("c3").inside) == 3
    assert silence.life("c3")["stage"] == "main mode"


def test_a_gateway_whose_daemons_died_is_told_from_a_silent_one(silence: Played, death: Played) -> None:
    assert death.head.blame == ("gateway",)
    assert [(kill.killer, kill.victims) for kill in death.head.kills] == [("", ("c1",))]
    assert "only 'port unreachable' came back" in death.head.sentence
    assert "port unreachable" not in silence.head.sentence
    assert death.evidence.gateway_views[-1].sas == ()
    assert silence.evidence.gateway_views[-1].sas != ()


# A NAT that forgets its mappings


def test_a_nat_that_forgets_is_to_blame(amnesia: Played) -> None:
    assert amnesia.evidence.step("nat-forgets").detail["mappings"] == 4
    assert amnesia.verdicts["mappings"].outcome is Outcome.FAIL
    assert amnesia.head.blame == ("nat",)
    old = amnesia.evidence.identity("c2").outside_natt_port
    assert f"c2's mapping for port 4500: outside port {old} became 4500" in amnesia.head.sentence
    assert "c1's mapping for port 4500: outside port 4500 became" in amnesia.head.sentence
    assert amnesia.head.sentence.count("and the gateway followed") == 2


def test_both_live_on_at_their_new_ports(amnesia: Played) -> None:
    forgot = amnesia.evidence.step("nat-forgets").began
    ports = {}
    for client in ("c1", "c2"):
        sent, answered = amnesia.marks(client)
        assert sent - answered <= 2
        assert sum(r.t > forgot for r in amnesia.of(client, RecordKind.MARK_ANSWERED)) > 10
        spis = amnesia.evidence.identity(client).spis_in
        down = [o for o in amnesia.evidence.observations[Side.OUTSIDE] if o.esp and o.esp["spi"] in spis]
        ports[client] = [down[0].dport, down[-1].dport]
    assert ports["c1"][0] == ports["c2"][1] == 4500
    assert ports["c1"][1] != 4500 != ports["c2"][0]


# A link that is cut (what the clients do meanwhile, and others who have less patience: test_link_cuts)


def test_a_cut_link_is_nobody_s_fault_and_everybody_lives_on(outage: Played) -> None:
    cut = outage.evidence.step("link-down")
    assert outage.verdicts["mappings"].outcome is Outcome.PASS
    assert (outage.head.tone, outage.head.blame, outage.head.kills) == (Tone.SURVIVED, (), ())
    assert "both live" in outage.head.sentence
    down = [o for o in outage.evidence.observations[Side.OUTSIDE] if o.src == outage.evidence.gateway_address]
    assert not [o for o in down if cut.began + 1 < o.t < cut.ended]  # the kernels of both ends take a moment
    for client in ("c1", "c2"):
        sent, answered = outage.marks(client)
        assert sent - answered > 3 * (cut.ended - cut.began)
        assert sum(r.t > cut.ended for r in outage.of(client, RecordKind.MARK_ANSWERED)) > 20
        assert [r.data["by"] for r in outage.of(client, RecordKind.ENDED)] == ["client"]


# Garbage


def test_garbage_at_any_moment_harms_nobody(litter: Played) -> None:
    thrown = litter.evidence.step("garbage").detail
    assert thrown["up"] > 100
    assert thrown["down"] > 100
    for client in ("c1", "c2"):
        sent, answered = litter.marks(client)
        assert sent == answered > 10
        assert [r.data["by"] for r in litter.of(client, RecordKind.ENDED)] == ["client"]
    assert "both live, on ports 1024 and 1025; 0 of" in litter.head.sentence


def test_garbage_is_counted_and_named_by_layer(litter: Played) -> None:
    """Nearly all of what reached a client was refused aloud; what is left was an empty keepalive, or came after the good-bye."""
    refused = [r for client in ("c1", "c2") for r in litter.of(client, RecordKind.GARBAGE)]
    ours = {plan.address for plan in litter.evidence.plans}
    reached = [o for o in litter.evidence.observations[Side.INSIDE] if o.kind is FrameKind.INJECTED and o.dst in ours]
    assert len(reached) == litter.evidence.step("garbage").detail["down"]
    assert 0.8 * len(reached) < len(refused) <= len(reached)
    assert {"ike", "esp"} <= Counter(r.data["layer"] for r in refused).keys()


def test_garbage_reached_the_gateway_too(litter: Played) -> None:
    frames = litter.evidence.observations[Side.OUTSIDE]
    up = [o for o in frames if o.kind is FrameKind.INJECTED and o.dst == litter.evidence.gateway_address]
    assert len(up) == litter.evidence.step("garbage").detail["up"]
