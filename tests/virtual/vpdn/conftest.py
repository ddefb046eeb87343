"""The bench of this folder, as a fixture."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.simulation.loop import SimulatedLoop
from harness.virtual.vpdn.crypto import Crypto
from harness.virtual.vpdn.groups import AcceptGroup, RequestGroup, Vpdn

sys.path.insert(0, str(Path(__file__).parent))

from vpdn_bench import ACCEPT, CRYPTO, LAC, LAC_PPP, LNS, LNS_PPP, REQUEST, Bench

MakeBench = Callable[..., Bench]


@pytest.fixture
def bench() -> Iterator[MakeBench]:
    """A LAC and an LNS as in the document, with other terms where a test says so."""
    with SimulatedLoop.runner() as runner:

        def make(
            accept: AcceptGroup | tuple[AcceptGroup, ...] = ACCEPT,
            request: RequestGroup | tuple[RequestGroup, ...] = REQUEST,
            *,
            lns_crypto: Crypto | None = CRYPTO,
            lac_crypto: Crypto | None = CRYPTO,
            lns: dict[str, Any] | None = None,
            lac: dict[str, Any] | None = None,
        ) -> Bench:
            made = Bench(runner)
            accepts = accept if isinstance(accept, tuple) else (accept,)
            requests = request if isinstance(request, tuple) else (request,)
            made.router(LNS, LNS_PPP, Vpdn(accepts, crypto=lns_crypto), **(lns or {}))
            made.router(LAC, LAC_PPP, Vpdn((), requests, crypto=lac_crypto), **(lac or {}))
            return made

        yield make
