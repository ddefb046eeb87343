"""How far a device's clock is off, by round trips over its command line."""

import socket
import threading

import pytest

from harness.devices.clock import ASKED, Asked, Offset, ask, offset


def test_the_quickest_round_trip_counts_and_bounds():
    slow, quick = Asked(100.0, 140.0, 102.0), Asked(110.0, 149.5, 110.2)
    assert offset([slow, quick]) == pytest.approx(Offset(39.4, 0.1))
    assert offset([slow]) == pytest.approx(Offset(39.0, 1.0))
    with pytest.raises(ValueError):
        offset([])


@pytest.mark.parametrize("answered_at", [0.0, 0.5, 1.0])
def test_the_truth_is_within_the_bound_whenever_in_the_trip_it_answers(answered_at):
    found = offset([Asked(100.0, 100.0 + 0.4 * answered_at - 7.0, 100.4)])
    assert abs(found.seconds - -7.0) <= found.bound + 1e-9
    assert found.bound == pytest.approx(0.2)


def asked_of(*answers):
    """What is measured of a device that gives these answers, each after 0.2 s by our clock."""
    now, (ours, theirs) = [1000.0], socket.socketpair()

    def answer():
        with theirs, theirs.makefile("rb") as questions:
            for one in answers:
                if questions.readline() != b"\n":
                    return
                now[0] += 0.2
                theirs.sendall(one)

    device = threading.Thread(target=answer)
    device.start()
    try:
        return ask(ours, lambda: now[0])
    finally:
        ours.close()
        device.join(30)


def test_a_device_is_asked_several_times():
    found = asked_of(*(f"{1003.1 + 0.2 * n:.9f}\n".encode() for n in range(ASKED)))
    assert found == pytest.approx(Offset(3.0, 0.1))
    assert str(found) == "+3000.0 ms off this machine's, within ±100.0 ms"


@pytest.mark.parametrize(("answers", "said"), [
    ([b"1003.%N\n"], r"'1003\.%N'"),
    ([b"1000.2\n", b"10"], "'10'"),
])  # fmt: skip
def test_what_is_no_time_is_refused(answers, said):
    with pytest.raises(ValueError, match=f"no time: {said}"):
        asked_of(*answers)


def test_a_device_that_goes_away_is_no_time_either():
    with pytest.raises((OSError, ValueError)):
        asked_of(b"1000.2\n")
