"""What the check of verdict/routers/l2tp_releases says of sound evidence, of a fault's, and of bad evidence."""

from dataclasses import replace

from cases_l2tp_calls import esp, in_call
from cases_l2tp_protection import clear
from edits import doubtful, fails, first_row, not_done, passes, reprinted, unprinted, untold

LAC, LNS = "10.0.0.12", "10.0.0.13"
COMMAND = "l2tp security crypto-profile l2tp"
BEFORE, FIRST = "l2tp-release-before", "l2tp-release-first"
REFUSED = "% Invalid input detected at '^' marker."


def runs(release):
    """As if the lab's routers were of that release, and did what these do."""

    def edit(evidence):
        for device in ("lac", "lns"):
            evidence = reprinted(device, "show version", "release", rows=first_row(version=release))(evidence)
        return replace(evidence, release=release)

    return edit


CASES = (
    passes("SEC-45", BEFORE, "refuses the command, and its call goes in the clear"),
    passes("SEC-45", FIRST, "takes the command, and its call goes in ESP"),
    passes("SEC-45", "l2tp-release-7500-before", "refuses"),
    passes("SEC-45", "l2tp-release-7500", "takes"),
    passes("SEC-45", "l2tp-release-as5300-before", "refuses"),
    passes("SEC-45", "l2tp-release-as5300", "takes"),
    passes("SEC-45", "l2tp-release-sba", "takes"),
    fails("SEC-45", FIRST, "refused", reprinted("lns", COMMAND, "release", text=REFUSED), "refuses the command at the lns"),
    fails("SEC-45", BEFORE, "taken too early", reprinted("lac", COMMAND, "release", text=""), "takes the command at the lac"),
    fails("SEC-45", BEFORE, "protected too early", esp(in_call(1), LAC, LNS, "SCCRQ"), "went in ESP"),
    fails("SEC-45", FIRST, "in the clear", clear(in_call(1), LAC, LNS, "SCCRQ"), "went in the clear"),
    fails("SEC-45", BEFORE, "no call", untold("up"), "no call of IOS 12.2(2)T"),
    fails("SEC-45", BEFORE, "in a release that has it", runs("12.3(11)T"), "refuses the command"),
    fails("SEC-45", FIRST, "in a release that lacks it", runs("12.2(2)T"), "takes the command"),
    doubtful(
        "SEC-45",
        FIRST,
        "another release",
        reprinted("lac", "show version", "release", rows=first_row(version="12.4(1)")),
        "not 12.2",
    ),
    doubtful("SEC-45", FIRST, "not shown", unprinted("lac", "show version"), "was not asked"),
    doubtful("SEC-45", FIRST, "not offered", not_done("offer the command")),
)
