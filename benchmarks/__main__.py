"""`make bench`: what the generator costs, beside what could not be cheaper. Exit status 1 where a set-up costs more than it may."""

from __future__ import annotations

import argparse
import json
import sys

from benchmarks import cryptography_alone, enclosure, marked_traffic, set_up

BUDGET_MS = 6.0
"""CPU of one full set-up with MODP2048, this side only."""

CASES = (
    # personality, group, encryption
    ("linux", "modp2048", "aes-128"),
    ("modp1024", "modp1024", "aes-128"),
    ("windows7", "ecp384", "aes-256"),
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--clients", type=int, default=200, help="set-ups to take the mean of (default: 200)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
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
    figures |= {"mark_us": mark, "journal_line_us": line, "bare_write_us": bare}
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(figures, file, indent=1)
    if over:
        print(f"over budget: a set-up with MODP2048 may cost {BUDGET_MS} ms of CPU")
    return int(over)


if __name__ == "__main__":
    sys.exit(main())
