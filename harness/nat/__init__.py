"""One NAT, sans-IO, whose behaviour is data: on the wire (lab/userland_nat.py), in virtual time, and below faults."""

from harness.nat.core import INSIDE, OUTSIDE, NatCore, Side
from harness.nat.parts import Parts, Translator, build
from harness.nat.personality import Personality, load, names
from harness.nat.table import Mapping

__all__ = ["INSIDE", "OUTSIDE", "Mapping", "NatCore", "Parts", "Personality", "Side", "Translator", "build", "load", "names"]
