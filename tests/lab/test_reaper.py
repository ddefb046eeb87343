"""Which signals the reaper passes on, on a clock of the test's own."""

import os
import signal

import pytest

from harness.lab.reaper import ECHO_S, TOGETHER_S, Requests, exit_status

INT, TERM = int(signal.SIGINT), int(signal.SIGTERM)


@pytest.mark.parametrize("by", ["launcher", "reaper"])
def test_what_one_of_them_got_is_passed_on_once(by):
    requests = Requests()
    requests.heard(TERM, by, 10.0)
    assert requests.settle(10.0) == []
    assert requests.next_due() == 10.0 + TOGETHER_S
    assert requests.settle(10.0 + TOGETHER_S) == [TERM]
    assert requests.settle(11.0) == []
    assert requests.next_due() is None
    assert requests.second is None


@pytest.mark.parametrize("order", [("launcher", "reaper"), ("reaper", "launcher")])
def test_what_the_whole_group_got_is_not_passed_on(order):
    requests = Requests()
    for number, by in enumerate(order):
        requests.heard(INT, by, 10.0 + number * TOGETHER_S / 2)
    assert requests.settle(11.0) == []
    assert requests.second is None


def test_a_second_ctrl_c_is_a_second_request():
    requests = Requests()
    for at in (10.0, 12.0):
        requests.heard(INT, "reaper", at)
        requests.heard(INT, "launcher", at + 0.001)
    assert requests.second == INT


def test_a_second_kill_is_a_second_request_and_not_passed_on():
    requests = Requests()
    requests.heard(TERM, "launcher", 10.0)
    assert requests.settle(10.0 + TOGETHER_S) == [TERM]
    requests.heard(INT, "launcher", 12.0)
    assert requests.settle(12.0 + TOGETHER_S) == []
    assert requests.second == INT


def test_an_echo_is_no_second_request():
    """timeout(1) signals its child and then its group: launcher, launcher again, reaper."""
    requests = Requests()
    requests.heard(TERM, "launcher", 10.0)
    requests.heard(TERM, "launcher", 10.001)
    requests.heard(TERM, "reaper", 10.002)
    requests.heard(TERM, "launcher", 10.003)
    assert requests.settle(10.2) == []
    assert requests.second is None
    requests.heard(TERM, "launcher", 10.2 + ECHO_S)
    requests.settle(10.2 + ECHO_S + TOGETHER_S)
    assert requests.second == TERM


def test_exit_status_is_a_shells():
    assert [exit_status(os.W_EXITCODE(7, 0) if hasattr(os, "W_EXITCODE") else 7 << 8), exit_status(9)] == [7, 137]
