"""Which releases and platforms have `l2tp security crypto-profile`."""

from __future__ import annotations

from collections.abc import Mapping

from harness.model import Evidence, FrameKind, Side, Verdict, ios_releases
from harness.verdict.findings import Findings, require
from harness.verdict.routers.gate import RouterCheck, check
from harness.verdict.routers.l2tp_world import calls, clear
from harness.verdict.routers.reading import frames, printed, rows, step

FEATURE = "l2tp-security"
COMMAND = "l2tp security crypto-profile l2tp"
DOCUMENTED: Mapping[tuple[str, str | None], bool] = {
    ("12.2(2)T", None): False,
    ("12.2(4)T", None): True,
    ("12.2(4)T", "7500"): False,
    ("12.2(4)T3", "7500"): True,
    ("12.2(8)T", "AS5300"): False,
    ("12.2(11)T", "AS5300"): True,
    ("12.2(27)SBA", None): True,
}
"""Of a release on a platform (None: one that needs no release of its own), what the document's feature history says: set down here
too, since the virtual router goes by the same table as whoever asks which release has what."""


@check(Side.OUTSIDE, decrypted=True)
def release_and_platform_gate(evidence: Evidence) -> Verdict:
    """SEC-45: the command is taken by the releases that the document names for the platform, and those that follow from them, and
    refused by those before; a call is protected where it is taken, and in the clear where it is not."""
    (call,) = calls(evidence, 1)
    platform = step(evidence, "offer the command").detail["platform"]
    there = DOCUMENTED.get((evidence.release, platform))
    if there is None:
        there = ios_releases.has(FEATURE, ios_releases.parse(evidence.release), platform)
    what = f"IOS {evidence.release}" + (f" on the {platform}" if platform else "")
    found = Findings(release=evidence.release, platform=platform, has_the_command=there)
    for device in ("lac", "lns"):
        (version,) = rows(evidence, device, "show version", "release")
        require(version.version == evidence.release, f"{device} runs {version.version}, not {evidence.release}")
        refused = printed(evidence, device, COMMAND, "release").refused
        found.expect(bool(refused) is not there, f"{what} {'refuses' if refused else 'takes'} the command at the {device}")
    protected, plain = frames(evidence, FrameKind.ESP), clear(evidence)
    for frame in plain if there else protected:
        found.expect(False, f"a call of {what} went {'in the clear' if there else 'in ESP'}", frame)
    found.expect(bool(protected if there else plain) and call.alive, f"no call of {what} came up")
    return found.verdict(
        f"{what} {'takes' if there else 'refuses'} the command, and its call goes {'in ESP' if there else 'in the clear'}"
    )


CHECKS: Mapping[str, RouterCheck] = {"SEC-45": release_and_platform_gate}
