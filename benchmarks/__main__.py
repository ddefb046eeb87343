"""`make bench`: what generator and NAT cost, beside what could not be cheaper, and how long the suites take.

Exit status 1 where that is more than it may be. It is for a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial

from benchmarks import (
    correlator,
    cryptography_alone,
    enclosure,
    ios_parsers,
    marked_traffic,
    qualification,
    set_up,
    storm,
    userland_nat,
)

BUDGET_MS = 6.0
"""CPU of one full set-up with MODP2048, this side only."""

NAT_RATE = 10_000
"""Packets a second that the userland NAT has to carry on one core: offered, passed, and none of them lost."""

SHORT_OF_RATE = 0.98
"""Of NAT_RATE at least, since the generator waits in steps and stops between two of them."""

NAT_CPU_US = 1e6 / NAT_RATE
"""CPU a packet: more than that is more than one core."""

CORRELATED_S = 1.0
"""To find every SA among a thousand."""

CASES = (
    # personality, group, encryption
    ("linux", "modp2048", "aes-128"),
    ("modp1024", "modp1024", "aes-128"),
    ("windows7", "ecp384", "aes-256"),
)


def correlation(figures: dict[str, object]) -> bool:
    """Measures how long the right SA among a thousand takes to be found, and prints it; whether it is over budget."""
    found = min((correlator.measure(1000) for _ in range(3)), key=lambda one: one.total_s)
    print(
        f"{found.sas} SAs in {found.frames} frames, each found without doubt ({found.verdict}): {found.total_s:.2f} s"
        f" (paired {found.paired_s:.2f}, identified {found.identified_s:.2f}, correlated {found.correlated_s:.2f})"
    )
    figures |= {"correlated_s": found.total_s}
    return found.total_s > CORRELATED_S or found.verdict != "pass"


def nat(figures: dict[str, object]) -> bool:
    """Measures the project's own NAT and prints what it finds; whether it is over budget."""
    routed, translated = (min(userland_nat.core(100_000, name) for _ in range(3)) for name in ("none", "pat"))
    print(f"NAT core: {translated:.1f} µs a packet, {translated / routed:.2f} times a mere router's ({routed:.1f} µs)")
    router, paced, flooded = (
        userland_nat.node(name, rate, 4.0) for name, rate in (("none", NAT_RATE), ("pat", NAT_RATE), ("pat", 10 * NAT_RATE))
    )
    print(
        f"userland NAT at {paced.offered:.0f} packets/s: {paced.passed:.0f} passed, {paced.lost} lost,"
        f" {paced.cpu_us:.1f} µs of CPU a packet,"
        f" {paced.cpu_us / router.cpu_us:.2f} times a mere router's; flooded: {flooded.passed:.0f} packets/s passed"
    )
    figures |= {"nat_core_us": translated, "nat_core_ratio": translated / routed, "nat_us": paced.cpu_us, "nat_lost": paced.lost}
    figures |= {"nat_ratio": paced.cpu_us / router.cpu_us, "nat_flooded": flooded.passed}
    return not bears(paced)


def bears(paced: userland_nat.Node) -> bool:
    """Whether a NAT to which NAT_RATE was to be offered was offered it and carried it. Where the generator itself was too slow,
    nothing is known, which is not enough."""
    carried = min(paced.offered, paced.passed) >= SHORT_OF_RATE * NAT_RATE
    return carried and paced.lost == 0 and paced.cpu_us <= NAT_CPU_US


def growth(figures: dict[str, object]) -> bool:
    """Measures what a set-up costs among few and among many clients and prints it; whether it grows by more than it may."""
    found = storm.measure()
    print(
        f"a set-up in a storm of {storm.MANY}: {found.many_ms:.2f} ms of CPU,"
        f" {found.ratio:.2f} times that in a storm of {storm.FEW} ({found.few_ms:.2f} ms)"
    )
    figures |= {"storm_few_ms": found.few_ms, "storm_many_ms": found.many_ms, "storm_ratio": found.ratio}
    return found.ratio > storm.TOLERANCE


def parsing(figures: dict[str, object]) -> bool:
    """Measures how a long translation table of a router's is read and prints it; whether it is over budget."""
    found = ios_parsers.measure()
    print(
        f"{ios_parsers.ROWS} rows of {ios_parsers.COMMAND} read in {found.cpu_s:.3f} s of CPU,"
        f" {found.octets:.0f} octets a row at the peak, {found.growth:.2f} times the memory of half as many"
    )
    figures |= {"parsed_s": found.cpu_s, "parsed_octets_a_row": found.octets, "parsed_growth": found.growth}
    return found.over


def commands(figures: dict[str, object]) -> bool:
    """Measures how long the suites take, with few clients, many, and guests, and a day of churn; whether any is over budget."""
    over = False
    by_clients = (partial(qualification.qualify, clients) for clients in qualification.CLIENTS)
    for measure in (*by_clients, qualification.altogether, qualification.churn_day):
        found = measure()
        print(found, flush=True)
        figures[f"{found.what}, s"] = found.took_s
        over |= found.over
    return over


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--clients", type=int, default=200, help="set-ups to take the mean of (default: 200)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    parser.add_argument("--costs-only", action="store_true", help="leave out how long the suites take, which takes minutes")
    arguments = parser.parse_args()
    enclosure.enter()
    figures: dict[str, object] = {}
    print(f"{'one set-up, CPU of the generator':40}{'ms':>8}{'crypto ms':>11}{'ratio':>8}   datagrams out, in")
    over = False
    for personality, group, encryption in CASES:
        alone, calls = cryptography_alone.measure(personality, group, encryption, rounds=100)
        whole = set_up.measure(arguments.clients, personality, group, encryption)
        ratio = whole.cpu_ms / alone
        name = f"{group}, {encryption} ({personality})"
        print(f"{name:40}{whole.cpu_ms:8.2f}{alone:11.2f}{ratio:8.2f}   {whole.sent:.1f}, {whole.received:.1f}")
        figures[name] = {"cpu_ms": whole.cpu_ms, "cryptography_ms": alone, "ratio": ratio, "clients": whole.clients, "calls": calls}
        over |= group == "modp2048" and whole.cpu_ms > BUDGET_MS
    mark, count = marked_traffic.marks(3.0, *CASES[0])
    line, bare = marked_traffic.journal_line(50_000)
    print(f"one mark sent, answered and journalled: {mark:.0f} µs of CPU (mean of {count})")
    print(f"one journal line: {line:.1f} µs, a bare write() of it {bare:.1f} µs, ratio {line / bare:.2f}")
    over |= growth(figures)
    over |= nat(figures)
    over |= correlation(figures)
    over |= parsing(figures)
    over |= not arguments.costs_only and commands(figures)
    figures |= {"mark_us": mark, "journal_line_us": line, "bare_write_us": bare}
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(figures, file, indent=1)
    if over:
        print(f"over budget: a set-up with MODP2048 may cost {BUDGET_MS} ms of CPU,")
        print(f"             and among {storm.MANY} clients {storm.TOLERANCE} times as much as among {storm.FEW},")
        print(f"             and the userland NAT is offered {NAT_RATE} packets/s ({SHORT_OF_RATE:.0%} at least),")
        print(f"             passes them, loses none, and spends no more than {NAT_CPU_US:.0f} µs of CPU on each,")
        print(f"             and a thousand SAs are told apart in {CORRELATED_S} s,")
        print(f"             and {ios_parsers.ROWS} translations are read in {ios_parsers.BUDGET_S} s of CPU,")
        print(f"             with {ios_parsers.GROWTH} times the memory of half as many,")
        print("             and the suites take no longer than stands beside them")
    return int(over)


if __name__ == "__main__":
    sys.exit(main())
