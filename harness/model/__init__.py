"""Frozen values that every layer shares. Standard library only."""

from harness.model.account import Logged, Printed, Told
from harness.model.behaviour import Behaviour
from harness.model.evidence import (
    ClockOffset,
    Evidence,
    GatewayEvent,
    GatewaySa,
    GatewaySession,
    GatewayView,
    Identity,
    NatMapping,
    NatView,
    Pair,
    Site,
    Step,
)
from harness.model.observation import CaptureFacts, FrameKind, Inner, Mark, Observation, Side
from harness.model.plan import ClientPlan
from harness.model.reach import Allowance, CaptureSource, Connection
from harness.model.record import Record, RecordKind, Stage
from harness.model.secret import Secret
from harness.model.verdict import Outcome, Verdict

__all__ = [
    "Allowance",
    "Behaviour",
    "CaptureFacts",
    "CaptureSource",
    "ClientPlan",
    "ClockOffset",
    "Connection",
    "Evidence",
    "FrameKind",
    "GatewayEvent",
    "GatewaySa",
    "GatewaySession",
    "GatewayView",
    "Identity",
    "Inner",
    "Logged",
    "Mark",
    "NatMapping",
    "NatView",
    "Observation",
    "Outcome",
    "Pair",
    "Printed",
    "Record",
    "RecordKind",
    "Secret",
    "Side",
    "Site",
    "Stage",
    "Step",
    "Told",
    "Verdict",
]
