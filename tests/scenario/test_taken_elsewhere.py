"""`natstorm wire`: a run's captures, judged as if they came from elsewhere, whole and with parts missing."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness import cli
from harness.errors import UsageError
from harness.model import Evidence, Outcome
from harness.model.steps import StepBus
from harness.probes.dissect import Dissector
from harness.probes.pcap import RAW_IP, PcapWriter, RawFrame, read_frames
from harness.scenario.runner import Runner
from harness.scenario.taken_elsewhere import Asked, take
from harness.scenario.wire_told import Told, clock_in_words, judge, lines, to_dict
from harness.testbed.load import check
from harness.verdict import from_captures
from harness.verdict.checks import CHECKS

ROOT = Path(__file__).resolve().parents[2]
needs_editcap = pytest.mark.skipif(shutil.which("editcap") is None, reason="editcap is not installed")


@dataclass(frozen=True)
class Run:
    folder: Path
    evidence: Evidence

    @property
    def inside(self) -> Path:
        return self.folder / "inside.pcap"

    @property
    def outside(self) -> Path:
        return self.folder / "outside.pcap"

    @property
    def keys(self) -> Path:
        return self.folder / "keys.jsonl"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    found = {}
    with Runner(check(ROOT / "testbeds" / "virtual.yaml"), tmp_path_factory.mktemp("scratch"), StepBus(time.time)) as runner:
        for name, scenario, variant in PLAYED:
            folder = tmp_path_factory.mktemp("runs") / name
            folder.mkdir()
            clear = scenario == "clear"
            found[name] = Run(folder, runner.play(scenario, variant, folder=folder, time="virtual", clear_expected=clear))
    return found


@pytest.fixture(scope="module")
def dissector() -> Iterator[Dissector]:
    with Dissector() as one:
        yield one


@pytest.fixture(scope="module")
def told(runs: dict[str, Run], dissector: Dissector) -> Callable[..., Told]:
    def of(inside: Path, outside: Path | None = None, keys: Path | None = None, **more: Any) -> Told:
        return judge(take(Asked(inside, outside, keys, **more), dissector))

    return of


PLAYED = (("demux", "pair", "demux"), ("plain", "pair", "plain"), ("clear",) * 3, ("no-nat", "no-nat", "plain"))


def verdict(found: Told, name: str) -> Any:
    return next(one.verdict for one in found.put if one.name == name)


def editcap(*words: Any) -> None:
    subprocess.run(["editcap", *map(str, words)], check=True, capture_output=True)


def without(source: Path, target: Path, left_out: Callable[[RawFrame], bool]) -> Path:
    with PcapWriter(target, RAW_IP) as writer:
        for frame in read_frames(source):
            if not left_out(frame):
                writer.write(frame.nanoseconds, frame.data)
    return target


def test_names_the_killer_that_the_run_itself_names(runs: dict[str, Run], told: Callable[..., Told]) -> None:
    run = runs["plain"]
    found = told(run.inside, run.outside, run.keys)
    assert found.outcome is Outcome.FAIL
    theirs = CHECKS["NTT-28"](run.evidence)
    assert verdict(found, "survival").facts["deaths"] == theirs.facts["deaths"]
    assert theirs.facts["deaths"][0]["killer"] == "c2"
    assert any("client 2 killed client 1 at outside.pcap frame" in sentence for sentence in found.sentences)
    assert found.blamed is not None
    assert found.blamed["box"] == "gateway"
    assert found.taken.evidence.trouble == ()


def test_demux_loses_nothing_and_every_check_says_what_it_says_of_the_run(runs: dict[str, Run], told: Callable[..., Told]) -> None:
    run = runs["demux"]
    found = told(run.inside, run.outside, run.keys)
    assert found.outcome is Outcome.PASS
    assert "0 of 84 marks lost" in verdict(found, "survival").because
    rows = [one for one in found.put if one.name in CHECKS]
    assert len(rows) >= 18
    assert {one.name: one.verdict.outcome for one in rows} == {one.name: CHECKS[one.name](run.evidence).outcome for one in rows}
    assert found.signs == ()
    assert not set(from_captures.not_put(found.taken.evidence)) & {one.name for one in rows}


def test_who_is_who_is_deduced_and_said(runs: dict[str, Run], told: Callable[..., Told]) -> None:
    run = runs["demux"]
    found = told(run.inside, run.outside, run.keys)
    who = found.taken.who
    assert (who.gateway, who.nat, who.clients) == (run.evidence.gateway_address, run.evidence.nat_outside, ("10.0.0.2", "10.0.0.3"))
    said = " ".join(found.taken.said)
    assert all(word in said for word in (f"gateway {who.gateway}", f"NAT {who.nat}", "clients 10.0.0.0/24"))
    one = {row.client: row for row in found.clients}["c1"]
    identity = run.evidence.identity("c1")
    assert tuple(one.cookies) == identity.cookies
    assert (tuple(one.spis["down"]), tuple(one.spis["up"])) == (identity.spis_in, identity.spis_out)
    alone = told(run.inside, run.outside, run.keys, prefix="10.0.0.2/32", gateway=who.gateway, nat=who.nat)
    assert [row.client for row in alone.clients] == ["c1"]
    assert any(one.startswith("left out: 10.0.0.3") for one in alone.taken.said)


def test_a_nat_that_no_packet_is_of_is_refused_and_not_held_against_a_box(runs: dict[str, Run], told: Callable[..., Told]) -> None:
    run, nat = runs["demux"], runs["demux"].evidence.nat_outside
    for wrong in ("203.0.113.99", run.evidence.gateway_address, "10.0.0.2"):
        for files in ((run.inside, run.outside, run.keys), (run.outside, None, run.keys)):
            with pytest.raises(UsageError, match=f"--nat {wrong}: the outside shows the clients under {nat}") as caught:
                told(*files, nat=wrong)
            assert caught.value.cure == f"--nat {nat}, or no --nat"
    assert told(run.inside, run.outside, run.keys, nat=nat).outcome is Outcome.PASS
    bare = runs["no-nat"]
    with pytest.raises(UsageError, match=r"--nat 10\.0\.0\.2: addresses are the same on both sides"):
        told(bare.inside, bare.outside, bare.keys, nat="10.0.0.2")


def test_without_keys_survival_stays_open_and_the_signs_are_told(runs: dict[str, Run], told: Callable[..., Told]) -> None:
    run = runs["plain"]
    found = told(run.inside, run.outside)
    assert found.outcome is Outcome.INCONCLUSIVE
    assert verdict(found, "survival").outcome is Outcome.INCONCLUSIVE
    assert verdict(found, "NTT-14").outcome is Outcome.PASS
    (sign,) = found.signs
    assert (sign.client, sign.newcomer) == ("c1", "c2")
    blow = verdict(told(run.inside, run.outside, run.keys), "survival").facts["deaths"][0]["frame"]
    assert sign.agreed is not None
    assert [sign.agreed.side.value, sign.agreed.frame] == blow
    healthy = told(runs["demux"].inside, runs["demux"].outside)
    assert (healthy.outcome, healthy.signs) == (Outcome.INCONCLUSIVE, ())


@pytest.mark.parametrize("side", ["inside", "outside"])
@pytest.mark.parametrize("variant", ["demux", "plain"])
def test_one_capture_is_told_and_not_judged(runs: dict[str, Run], told: Callable[..., Told], side: str, variant: str) -> None:
    run = runs[variant]
    found = told(getattr(run, side), None, run.keys)
    assert found.outcome is Outcome.INCONCLUSIVE
    assert [file.side.value for file in found.taken.files] == [side]  # NAT-D shows which it is
    assert {one.verdict.outcome for one in found.put} == {Outcome.INCONCLUSIVE}
    assert len(found.clients) == 2
    assert sum(row.counts["esp up"] for row in found.clients) > 50
    assert [m.name for m in found.clients[0].moments][:9] == ["MM1", "MM2", "MM3", "MM4", "MM5", "MM6", "QM1", "QM2", "QM3"]


LEFT_OUT: dict[str, Callable[[RawFrame], bool]] = {
    "the first message": lambda f: f.number == 1,
    "the whole beginning": lambda f: f.number <= 20,
    "MM2": lambda f: f.number == 2,
    "QM1": lambda f: f.number == 7,
    "QM3": lambda f: f.number == 9,
    "some in the middle": lambda f: 105 <= f.number <= 140,
    "one of many": lambda f: f.number == 121,
    "all but main mode": lambda f: f.number > 6,
}


@pytest.mark.parametrize("which", ["inside", "outside", "both"])
@pytest.mark.parametrize("what", LEFT_OUT)
def test_no_missing_frame_makes_a_pass_and_none_is_the_devices_fault(
    runs: dict[str, Run], told: Callable[..., Told], tmp_path: Path, what: str, which: str
) -> None:
    run = runs["demux"]
    files = [
        without(path, tmp_path / f"{name}.pcap", LEFT_OUT[what]) if which in (name, "both") else path
        for name, path in (("inside", run.inside), ("outside", run.outside))
    ]
    assert told(*files, run.keys).outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(("variant", "number"), [*(("demux", n) for n in range(6)), ("plain", 2)])
def test_no_missing_key_makes_a_pass_or_a_failure(
    runs: dict[str, Run], told: Callable[..., Told], tmp_path: Path, variant: str, number: int
) -> None:
    run = runs[variant]
    kept = run.keys.read_text().splitlines()
    assert len(kept) == 6
    del kept[number]
    (tmp_path / "keys.jsonl").write_text("\n".join(kept))
    assert told(run.inside, run.outside, tmp_path / "keys.jsonl").outcome is Outcome.INCONCLUSIVE


def test_keys_in_wiresharks_form_open_the_same(runs: dict[str, Run], told: Callable[..., Told], tmp_path: Path) -> None:
    run = runs["plain"]
    folder = run.folder / "tshark-keys"
    text = (folder / "esp_sa").read_text() + "# main modes\n" + (folder / "ikev1_decryption_table").read_text()
    (tmp_path / "keys").write_text(text)
    found, own = told(run.inside, run.outside, tmp_path / "keys"), told(run.inside, run.outside, run.keys)
    assert {one.name: one.verdict for one in found.put} == {one.name: one.verdict for one in own.put}
    assert found.taken.keys is not None
    assert (found.taken.keys.used, found.taken.keys.given) == (6, 6)


def test_without_a_nat_nothing_is_asked_of_one(runs: dict[str, Run], told: Callable[..., Told]) -> None:
    run = runs["no-nat"]
    found = told(run.inside, run.outside, run.keys)
    assert (found.outcome, found.taken.who.nat) == (Outcome.PASS, "")
    assert {one.name for one in found.put} == {"survival", "nothing in clear", "mappings"}
    assert from_captures.not_put(found.taken.evidence)["NTT-14"] == "a NAT that translates"


def test_without_ipsec_l2tp_is_judged_as_it_is_and_said_to_be_in_clear(runs: dict[str, Run], told: Callable[..., Told]) -> None:
    run = runs["clear"]
    found = told(run.inside, run.outside)
    assert found.outcome is Outcome.INCONCLUSIVE
    assert verdict(found, "survival").outcome is Outcome.PASS
    assert verdict(found, "nothing in clear").outcome is Outcome.INCONCLUSIVE
    assert any("no IPsec at all" in one for one in found.taken.said)
    assert all(one.verdict.outcome is not Outcome.FAIL for one in found.put)
    assert from_captures.not_put(found.taken.evidence)["NTT-01"] == "IPsec"


@needs_editcap
@pytest.mark.parametrize(("variant", "shift"), [("plain", 5), ("demux", -5), ("plain", 0)])
def test_pcapng_and_a_clock_that_is_apart_change_nothing(
    runs: dict[str, Run], told: Callable[..., Told], tmp_path: Path, variant: str, shift: int
) -> None:
    run = runs[variant]
    editcap("-F", "pcapng", run.inside, tmp_path / "in.pcapng")
    editcap("-F", "pcapng", "-t", shift, run.outside, tmp_path / "out.pcapng")
    found, own = told(tmp_path / "in.pcapng", tmp_path / "out.pcapng", run.keys), told(run.inside, run.outside, run.keys)
    assert {one.name: one.verdict.outcome for one in found.put} == {one.name: one.verdict.outcome for one in own.put}
    deaths = [(d["victim"], d["killer"], d["frame"], d["strength"]) for d in verdict(own, "survival").facts["deaths"]]
    assert [(d["victim"], d["killer"], d["frame"], d["strength"]) for d in verdict(found, "survival").facts["deaths"]] == deaths
    clock = found.taken.evidence.clock
    assert clock is not None
    assert abs(clock.offset_s - shift) <= clock.bound_s < 0.01
    assert clock.corrected is (shift != 0)
    printed = next(line for line in lines(found) if line.startswith("clocks"))
    assert clock_in_words(clock) in printed
    assert (f"{clock.offset_s:+.6f} s" in printed) is (shift != 0)


@needs_editcap
def test_a_clock_that_was_set_leaves_survival_open(runs: dict[str, Run], told: Callable[..., Told], tmp_path: Path) -> None:
    run = runs["demux"]
    with PcapWriter(tmp_path / "set.pcap", RAW_IP) as writer:
        for frame in read_frames(run.outside):
            writer.write(frame.nanoseconds + (3_000_000_000 if frame.number > 125 else 0), frame.data)
    found = told(run.inside, tmp_path / "set.pcap", run.keys)
    assert found.outcome is Outcome.INCONCLUSIVE
    assert "was set meanwhile" in verdict(found, "survival").because


@needs_editcap
def test_what_a_file_shows_of_itself_makes_it_doubtful(runs: dict[str, Run], told: Callable[..., Told], tmp_path: Path) -> None:
    run = runs["demux"]
    (tmp_path / "cut.pcap").write_bytes(run.inside.read_bytes()[:-5])
    editcap("-s", 100, run.inside, tmp_path / "snapped.pcap")
    for name, word in (("cut.pcap", "is damaged"), ("snapped.pcap", "only a part was kept")):
        found = told(tmp_path / name, run.outside, run.keys)
        assert found.outcome is Outcome.INCONCLUSIVE
        assert any(word in one and name in one for one in found.taken.evidence.trouble)


def refused(told: Callable[..., Told], *files: Path | None, **more: Any) -> str:
    with pytest.raises(UsageError) as caught:
        told(*files, **more)
    assert caught.value.cure
    return str(caught.value)


def test_what_cannot_be_meant_is_refused_with_the_file_and_a_cure(
    runs: dict[str, Run], told: Callable[..., Told], tmp_path: Path
) -> None:
    run = runs["plain"]
    words = refused(told, run.outside, run.inside, run.keys)
    assert "wrong way round" in words
    assert f"natstorm wire {run.inside} {run.outside}" in words
    shutil.copy(run.inside, tmp_path / "copy.pcap")
    assert "same side of the NAT" in refused(told, run.inside, tmp_path / "copy.pcap")
    assert "both sides" in refused(told, run.inside, run.inside)
    assert f"{tmp_path}/nowhere.pcap: there is no such file" in refused(told, tmp_path / "nowhere.pcap")
    (tmp_path / "empty.pcap").touch()
    assert "empty.pcap: no pcap file: 0 bytes" in refused(told, tmp_path / "empty.pcap")
    (tmp_path / "text.pcap").write_text("this is no capture, and long enough to be one")
    assert "text.pcap: no pcap file" in refused(told, tmp_path / "text.pcap", run.outside)
    without(run.inside, tmp_path / "none.pcap", lambda f: True)
    assert "none.pcap: the capture holds no frame" in refused(told, tmp_path / "none.pcap")
    far = refused(told, run.folder / "far-end.pcap")
    assert "far-end.pcap: no IKE, no ESP and no L2TP" in far
    assert "tcpdump" in far
    later = without(run.outside, tmp_path / "later.pcap", lambda f: f.number < 210)
    early = without(run.inside, tmp_path / "early.pcap", lambda f: f.number > 100)
    assert f"no packet of {early}" in refused(told, early, later)
    assert "198.51.100.9" in refused(told, run.inside, run.outside, gateway="198.51.100.9")
    assert "--prefix" in refused(told, run.inside, run.outside, prefix="192.168.0.0/16")
    assert "no IPv4 address" in refused(told, run.inside, run.outside, nat="nat1")


def test_keys_that_do_not_fit_or_are_none_are_refused_without_a_word_of_them(
    runs: dict[str, Run], told: Callable[..., Told], tmp_path: Path
) -> None:
    run = runs["plain"]
    strange = [json.loads(line) for line in run.keys.read_text().splitlines()]
    for line in strange:
        line |= {"icookie": "ab" * 8} if line["kind"] == "ike" else {"spi": "abababab"}
    (tmp_path / "other.jsonl").write_text("\n".join(map(json.dumps, strange)))
    words = refused(told, run.inside, run.outside, tmp_path / "other.jsonl")
    assert "other.jsonl: none of its 6 keys" in words
    assert run.evidence.identity("c1").spis_in[0] in words
    secret = "5ec4e7" * 8
    bad = (
        f'"IPv4","*","*","0x1","ROT13","0x{secret}","HMAC-SHA-1-96","0x{secret}"',
        f"{secret} is my key",
        f'{{"kind": "esp", "key": "{secret}"}}',
        f"0011223344556677,{secret}zz",
        f"00112233445566778899,{secret}",
    )
    for text in bad:
        (tmp_path / "bad").write_text(f"# a comment\n{text}\n")
        words = refused(told, run.inside, run.outside, tmp_path / "bad")
        assert f"{tmp_path}/bad:2: no key" in words
        assert secret not in words
    (tmp_path / "void").write_text("\n")
    assert "it holds no key" in refused(told, run.inside, run.outside, tmp_path / "void")
    assert "cannot be read" in refused(told, run.inside, run.outside, tmp_path / "absent")


def test_the_command_prints_both_forms_and_has_its_status(
    runs: dict[str, Run], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = runs["plain"]
    assert cli.main(["wire", str(run.inside), str(run.outside), "--keys", str(run.keys)]) == 1
    text = capsys.readouterr().out
    assert "FAIL         survival: c1 died" in text
    assert "needs a capture behind the gateway" in text
    assert text.splitlines()[-1].startswith("FAIL: 1 of ")
    key = json.loads(run.keys.read_text().splitlines()[0])["key"]
    demux = runs["demux"]
    assert cli.main(["wire", str(demux.inside), str(demux.outside), "--keys", str(demux.keys), "--json"]) == 0
    out = capsys.readouterr().out
    found = json.loads(out)
    assert (found["outcome"], found["nat"], found["trouble"]) == ("pass", demux.evidence.nat_outside, [])
    assert {one["client"]: one["address"] for one in found["clients"]} == {"c1": "10.0.0.2", "c2": "10.0.0.3"}
    assert key not in out + text
    assert cli.main(["wire", str(run.inside), "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["clock"] is None
    assert cli.main(["wire", str(run.outside), str(run.inside)]) == 2
    assert "wrong way round" in capsys.readouterr().err


def test_the_json_is_json_whatever_is_open(runs: dict[str, Run], told: Callable[..., Told]) -> None:
    found = to_dict(told(runs["demux"].inside, runs["demux"].outside))
    assert json.loads(json.dumps(found, allow_nan=False)) == json.loads(json.dumps(found))
