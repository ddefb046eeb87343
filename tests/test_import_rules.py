"""Who may import whom: the rules of docs/architecture.md, read off the source."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HARNESS = ROOT / "harness"
BASE = {"errors", "model"}
ALL = {p.stem for p in HARNESS.iterdir() if p.suffix == ".py" or (p.is_dir() and (p / "__init__.py").exists())}

MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "model": {"errors"},
    "wire": {"errors"},
    "strict_yaml": {"errors"},
    "nat": BASE | {"strict_yaml"},
    "catalogue": BASE,
    "testbed": BASE,
    "devices": BASE,
    "probes": BASE,
    "verdict": BASE,
    "report": BASE,
    "lab": BASE | {"devices", "nat"},
    "clients": BASE | {"wire", "devices", "strict_yaml"},
    "virtual": BASE | {"wire", "nat", "strict_yaml"},
    "simulation": BASE | {"wire", "nat", "virtual"},
    "storm": BASE | {"clients"},
    "scenario": ALL,
    "routers": ALL,
    "plugin": ALL,
    "session": ALL,
    "cli": ALL,
    "programme": set(),
    "faults": BASE | {"wire", "nat", "virtual", "clients"},
    "prove": ALL,
    "qualify": ALL,
    "__init__": set(),
}
"""Each room of harness/, and the other rooms it may look into."""

CORES = {"wire", "nat", "virtual"}
PROCESSES = {
    "virtual/process.py", "virtual/control.py", "virtual/sockets.py", "virtual/witness.py", "virtual/ios/server.py",
    "virtual/ios/ssh.py", "virtual/ios/process.py",
}  # fmt: skip
"""The modules in a core's room that give it sockets and a clock."""
FORBIDDEN_IN_CORES = {"asyncio", "socket", "selectors", "time", "random", "secrets", "threading", "subprocess", "select", "ssl"}
ONLY_STDLIB_FOR = {"errors", "model"}
ONE_PLACE = {
    "scapy": {"probes"}, "pyats": {"testbed", "devices"}, "unicon": {"testbed", "devices"}, "paramiko": {"devices"},
    "asyncssh": {"virtual"},
} | {
    name: {"report"} for name in ("allure", "allure_commons", "allure_pytest")
}
HEAVY = {"pyats", "unicon", "genie", "scapy", "asyncssh"}


def modules() -> list[Path]:
    return sorted(p for p in HARNESS.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(HARNESS).parts[0].removesuffix(".py")


def imports(path: Path) -> list[tuple[str, bool]]:
    """(dotted name, at module level) of everything that the file imports."""
    tree = ast.parse(path.read_text(), str(path))
    inside = {id(n) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef | ast.AsyncFunctionDef) for n in ast.walk(f)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(a.name, id(node) not in inside) for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [f"{node.module}.{a.name}" for a in node.names] if node.module == "harness" else [node.module or ""]
            found += [(n, id(node) not in inside) for n in names]
    return found


def test_every_room_has_a_rule() -> None:
    assert {room(p) for p in modules()} <= set(MAY_IMPORT)


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(HARNESS)))
def test_imports_follow_the_rules(path: Path) -> None:
    here = room(path)
    for name, at_top in imports(path):
        first, *rest = name.split(".")
        if first == "harness" and rest and rest[0] != here:
            assert rest[0] in MAY_IMPORT[here], f"{here} must not import {name}"
        if first in ONE_PLACE:
            assert here in ONE_PLACE[first], f"{name} belongs into {sorted(ONE_PLACE[first])}"
        if first in HEAVY and at_top:
            # the dissector's own process may load scapy at module level; test_collection.py sees that nobody else does
            # virtual/ios/ssh.py is loaded when a server begins to listen
            alone = (first, here) == ("scapy", "probes") or path.relative_to(HARNESS).as_posix() == "virtual/ios/ssh.py"
            assert alone, f"{name} is heavy: import it where it is used"
        if here in CORES and str(path.relative_to(HARNESS)) not in PROCESSES:
            assert first not in FORBIDDEN_IN_CORES, f"a sans-IO core must not import {name}"
        if here in ONLY_STDLIB_FOR:
            assert first == "harness" or first in sys.stdlib_module_names, f"{here} must not import {name}"


@pytest.mark.parametrize("path", sorted((ROOT / "suites").rglob("*.py")), ids=lambda p: p.name)
def test_suites_know_fixtures_and_model_only(path: Path) -> None:
    for name, _ in imports(path):
        first, *rest = name.split(".")
        assert first != "harness" or rest[0] == "model", f"{path.name} must not import {name}"
        assert first not in FORBIDDEN_IN_CORES, f"{path.name} must not import {name}"
