"""Telnet's options, a byte at a time or all at once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.virtual.ios.telnet import Telnet

IAC, DONT, DO, WONT, WILL, SB, SE = 255, 254, 253, 252, 251, 250, 240


def started():
    telnet = Telnet()
    telnet.take()
    return telnet


def test_what_it_offers_and_asks_for():
    assert Telnet().take() == bytes([IAC, WILL, 1, IAC, WILL, 3, IAC, DO, 3, IAC, DO, 31])


def test_confirmations_are_not_answered_and_other_options_are_refused():
    telnet = started()
    assert telnet.receive(bytes([IAC, DO, 1, IAC, DO, 3, IAC, WILL, 31])) == b""
    assert telnet.take() == b""
    telnet.receive(bytes([IAC, WILL, 24, IAC, DO, 5]))  # terminal type, status
    assert telnet.take() == bytes([IAC, DONT, 24, IAC, WONT, 5])
    telnet.receive(bytes([IAC, DONT, 1]))
    assert telnet.take() == bytes([IAC, WONT, 1])
    telnet.receive(bytes([IAC, DONT, 1]))
    assert telnet.take() == b""
    telnet.receive(bytes([IAC, DO, 1]))
    assert telnet.take() == bytes([IAC, WILL, 1])


def test_the_window():
    telnet = started()
    assert telnet.receive(b"a" + bytes([IAC, SB, 31, 0, 132, 0, 40, IAC, SE]) + b"b") == b"ab"
    assert telnet.window == (132, 40)
    telnet.receive(bytes([IAC, SB, 31, 0, IAC, IAC, 0, 24, IAC, SE]))
    assert telnet.window == (255, 24)


def test_bytes_that_stand_for_keys_and_for_themselves():
    telnet = started()
    assert telnet.receive(b"a" + bytes([IAC, IAC, IAC, 244, IAC, 241, IAC, 247]) + b"b") == b"a\xff\x03\x08b"
    assert telnet.send(b"a\xffb") == b"a\xff\xffb"


@given(st.lists(st.sampled_from([0, 1, 3, 24, 31, 65, 240, 244, 250, 251, 252, 253, 254, 255]), max_size=60), st.integers(0, 60))
def test_how_it_is_cut_into_pieces_does_not_matter(bytes_, at):
    data = bytes(bytes_)
    whole, parts = started(), started()
    said = whole.receive(data)
    assert parts.receive(data[:at]) + parts.receive(data[at:]) == said
    assert (parts.take(), parts.window) == (whole.take(), whole.window)
