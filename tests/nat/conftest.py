"""A NAT under test. The modules nat_*.py here are shared by the tests of this room."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from nat_bench import Bench


@pytest.fixture
def bench():
    return Bench
