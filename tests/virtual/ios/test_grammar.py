"""Command lines against a mode's commands."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.virtual.ios.grammar import CR, Grammar, Match, Row, Wrong, told
from harness.virtual.ios.kinds import interface, mask, short_interface
from harness.virtual.ios.syntax import compiled
from harness.virtual.ios.tables.help import HELP
from harness.virtual.ios.tables.sections import MODES

SOME = Grammar([
    Row("clear counters"),
    Row("clock set TIME"),
    Row("configure terminal"),
    Row("connect WORD"),
    Row("crypto isakmp key [0 | 6] WORD:secret address A.B.C.D [MASK]"),
    Row("crypto isakmp policy <1-10000>:priority"),
    Row("interface IFNAME"),
    Row("ip address A.B.C.D MASK:mask"),
    Row("ip address-pool local"),
    Row("remark LINE"),
    Row("set transform-set WORD:names...6"),
    Row("show version"),
])  # fmt: skip


@pytest.mark.parametrize(
    ("line", "means"),
    [
        ("conf t", "configure terminal"),
        ("CONF T", "configure terminal"),
        ("cry isa pol 7", "crypto isakmp policy 7"),
        ("crypto isakmp policy 007", "crypto isakmp policy 7"),
        ("int fa0/0", "interface FastEthernet0/0"),
        ("int fa 0/0", "interface FastEthernet0/0"),
        ("interface Virtual-Template 1", "interface Virtual-Template1"),
        ("ip address 10.0.0.1 255.0.0.0", "ip address 10.0.0.1 255.0.0.0"),
        ("ip address-p local", "ip address-pool local"),
        ("remark  two  words ", "remark two  words"),
        ("crypto isakmp key 0 secret address 1.2.3.4", "crypto isakmp key 0 secret address 1.2.3.4"),
        ("crypto isakmp key 0 address 1.2.3.4", "crypto isakmp key 0 address 1.2.3.4"),
        ("set transform-set a b c d e f", "set transform-set a b c d e f"),
    ],
)
def test_a_line_means(line, means):
    found = SOME.match(line)
    assert isinstance(found, Match)
    assert found.line == means


def test_values_have_names():
    found = SOME.match("set transform-set a b")
    assert found.values["names"] == ("a", "b")
    assert SOME.match("crypto isakmp key 6 six address 1.2.3.4").get("secret") == "six"


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("con", Wrong("ambiguous", 0, 0)),
        ("configure", Wrong("incomplete", word=1)),
        ("interface fa", Wrong("incomplete", word=2)),
        ("show verbose", Wrong("invalid", 8, 1)),
        ("show version now", Wrong("invalid", 13, 2)),
        ("  bogus", Wrong("invalid", 2, 0)),
        ("crypto isakmp policy 10001", Wrong("invalid", 21, 3)),
        ("ip address 10.0.0.256 255.0.0.0", Wrong("invalid", 11, 2)),
        ("ip address 10.0.0.1 255.0.255.0", Wrong("invalid", 20, 3)),
        ("set transform-set a b c d e f g", Wrong("invalid", 30, 8)),
    ],
)
def test_what_is_wrong_and_where(line, wrong):
    assert SOME.match(line) == wrong


def test_the_caret_stands_below_the_character():
    line = "show verbose"
    caret, said, blank = told(SOME.match(line), line, len("Router#"))
    assert ("Router#" + line)[caret.index("^")] == "b"
    assert said == "% Invalid input detected at '^' marker."
    assert blank == ""


def test_what_may_follow():
    assert [shown for shown, _, _ in SOME.follow("crypto isakmp ")] == ["key", "policy"]
    assert [shown for shown, _, _ in SOME.follow("crypto isakmp policy ")] == ["<1-10000>"]
    assert [shown for shown, _, _ in SOME.follow("ip address 1.2.3.4 255.0.0.0 ")] == [CR]
    assert [shown for shown, _, _ in SOME.follow("set transform-set a ")] == ["WORD", CR]
    assert SOME.completions("cl") == ["clear", "clock"]
    assert SOME.completions("crypto isakmp k") == ["key"]
    assert SOME.completions("xyz") == []


def test_a_gate_hides_a_command_as_if_it_were_unknown():
    rows = [Row("set nat demux", gate="nat-demux"), Row("set pfs group1")]
    line = "set nat demux"
    assert Grammar(rows, frozenset()).match(line) == Grammar(rows[1:], frozenset()).match(line) == Wrong("invalid", 4, 1)
    assert isinstance(Grammar(rows, frozenset({"nat-demux"})).match(line), Match)


@pytest.mark.parametrize("syntax", ["a [b", "a {b ] c", "a } b"])
def test_a_mistake_in_a_table(syntax):
    with pytest.raises(ValueError):
        compiled(syntax)


def test_every_table_compiles_and_every_section_is_a_mode():
    for mode in MODES.values():
        Grammar(mode.rows)
        assert {row.enters for row in mode.rows if row.enters} <= set(MODES)
    assert all(HELP.values())


def test_interfaces_and_masks():
    assert interface("Gi0/1") == "GigabitEthernet0/1"
    assert interface("vi1") == "Virtual-Access1"
    assert interface("virtual1") is None
    assert interface("fa") is None
    assert short_interface("FastEthernet0/0") == "Fa0/0"
    assert short_interface("Virtual-Template1") == "Vt1"
    assert mask("255.255.255.252") == "255.255.255.252"
    assert mask("0.0.0.255") is None


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60), st.sampled_from(sorted(MODES)))
def test_no_line_confuses_it(line, mode):
    grammar = Grammar(MODES[mode].rows)
    found = grammar.match(line)
    if isinstance(found, Wrong):
        assert 0 <= found.column <= len(line)
    else:
        again = grammar.match(found.line)
        assert isinstance(again, Match)
        assert again.line == found.line
    grammar.follow(line)
    grammar.completions(line)
