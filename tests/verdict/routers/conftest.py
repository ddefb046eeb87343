import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from harness.model.redact import Redactor
from harness.model.steps import StepBus
from harness.routers.runner import RouterRunner
from harness.routers.scripts import script


@pytest.fixture(scope="session")
def played(tmp_path_factory):
    """The evidence of a script for routers by its name, played once."""
    known = {}
    with RouterRunner(StepBus(time.time), Redactor(())) as runner:

        def evidence(name):
            if name not in known:
                known[name] = runner.play(script(name), folder=tmp_path_factory.mktemp(name), testbed="virtual-ios")
            return known[name]

        yield evidence
