"""How far a device's clock is off, by round trips over its command line."""

import asyncio

import pytest

from harness.devices.clock import ASKED, Asked, Offset, measure, offset
from harness.devices.ssh import Result
from harness.errors import DeviceError


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
    now, left = [1000.0], list(answers)

    async def execute(command, timeout):
        assert (command, timeout > 0) == ("date +%s.%N", True)
        now[0] += 0.2
        return left.pop(0)

    return asyncio.run(measure("nat", execute, lambda: now[0])), left


def test_a_device_is_asked_several_times():
    found, left = asked_of(*(Result(0, f"{1003.1 + 0.2 * n:.9f}\n") for n in range(ASKED)))
    assert left == []
    assert found == pytest.approx(Offset(3.0, 0.1))
    assert str(found) == "+3000.0 ms off this machine's, within ±100.0 ms"


@pytest.mark.parametrize(("result", "said"), [
    (Result(127, "date: command not found\n"), "command not found"),
    (Result(0, "1003.%N\n"), r"1003\.%N"),
    (Result(1, ""), "exit status 1"),
])  # fmt: skip
def test_a_device_that_does_not_tell_the_time_is_named(result, said):
    with pytest.raises(DeviceError, match=f"nat.*{said}"):
        asked_of(result)
