"""The editors' schema: that it is current, accepts what is shipped and refuses mistakes; the documentation leaves nothing out."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent))
from testbed_text import TESTBEDS

from harness import cli
from harness.testbed import definition, examine, router_definition, schema
from harness.testbed.shape import By, ListOf, MapOf, Section, Value

DOCS = TESTBEDS.parent / "docs" / "testbeds.md"
TYPES = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}
SAID_ONLY = {"$schema", "title", "description", "definitions"}


def refuses(rule: dict, value: object, root: dict) -> bool:
    """A validator of the few words that the schema is made of; any other fails the test."""
    unknown = set(rule) - SAID_ONLY - {
        "$ref", "type", "properties", "additionalProperties", "required", "items", "minItems", "uniqueItems", "enum", "const",
        "pattern", "minLength", "minimum", "maximum", "anyOf", "allOf", "if", "then",
    }  # fmt: skip
    assert not unknown
    if "$ref" in rule:
        assert set(rule) == {"$ref"}
        return refuses(root["definitions"][rule["$ref"].removeprefix("#/definitions/")], value, root)
    names = rule.get("type", list(TYPES))
    kinds = tuple(TYPES[name] for name in ([names] if isinstance(names, str) else names))
    if "type" in rule and (not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds)):
        return True
    if isinstance(value, dict):
        known, other = rule.get("properties", {}), rule.get("additionalProperties", True)
        for key, child in value.items():
            if key in known:
                if refuses(known[key], child, root):
                    return True
            elif other is False or (isinstance(other, dict) and refuses(other, child, root)):
                return True
        if not set(rule.get("required", ())) <= set(value):
            return True
    if isinstance(value, list):
        if len(value) < rule.get("minItems", 0) or (rule.get("uniqueItems") and len(value) != len(set(map(repr, value)))):
            return True
        if any(refuses(rule.get("items", {}), item, root) for item in value):
            return True
    if isinstance(value, str) and (not re.search(rule.get("pattern", ""), value) or len(value) < rule.get("minLength", 0)):
        return True
    if isinstance(value, int) and not rule.get("minimum", value) <= value <= rule.get("maximum", value):
        return True
    if ("enum" in rule and value not in rule["enum"]) or ("const" in rule and value != rule["const"]):
        return True
    if "anyOf" in rule and all(refuses(one, value, root) for one in rule["anyOf"]):
        return True
    if "if" in rule and not refuses(rule["if"], value, root) and refuses(rule["then"], value, root):
        return True
    return any(refuses(one, value, root) for one in rule.get("allOf", ()))


def accepted(file: Path) -> bool:
    root = schema.document()
    return not refuses(root, yaml.safe_load(file.read_text()), root)


def test_the_kept_copy_is_current(capsys):
    assert cli.main(["check", "--schema"]) == 0
    assert capsys.readouterr().out == (TESTBEDS / "schema.json").read_text(), "natstorm check --schema > testbeds/schema.json"
    assert json.loads((TESTBEDS / "schema.json").read_text()) == schema.document()


@pytest.mark.parametrize("file", sorted(TESTBEDS.glob("*.yaml")), ids=lambda file: file.stem)
def test_what_is_shipped_is_accepted_and_names_it(file):
    assert accepted(file)
    assert file.read_text().splitlines()[0] == "# yaml-language-server: $schema=schema.json"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("      username: root", "      usrname: root"),
        ("- 10.0.0.0/20 ", "- 10.0.0.0.0 "),
        ("- 10.0.0.0/20 ", "- 192.0.2.0/30 "),
        ("packets_per_s: 5000", "packets_per_s: 0"),
        ("packets_per_s: 5000", "packets_per_s: fast"),
        ("      packets_per_s: 5000\n", ""),
        ("    type: nat\n", "    type: router\n"),
        ("type: nat\n    os: linux\n", "type: nat\n"),
        ("    os: natstorm", "    os: junose"),
        ("    os: natstorm", "    os: linux"),
        ("0.3, port: 22", "0.3, port: abc"),
        ("0.3, port: 22", "0.3, port: 65536"),
        ("ip: 10.99.0.3", "ip: gateway"),
        ("ip: 10.99.0.3", "adress: 10.99.0.3"),
        ("        - clear\n", "        - clera\n"),
        ("personality: windows7", "personality: windows99"),
        ("ppp_pool: 172.16.0.10-", "ppp_pool: 172.16.0.10 to "),
        ("    connections: {}\n", "    connections: {cli: {protocol: ssh, ip: 10.0.0.1}}\n"),
        ("  host:\n    type: host", "  spare:\n    type: host"),
        ("ipv4: 198.51.100.10/24", "ipv4: 198.51.100.10"),
        ("      psk: sharedsecret\n", ""),
        ("      psk: sharedsecret\n", '      psk: ""\n'),
    ],
)
def test_a_mistake_is_refused(bench, old, new):
    """Each by the strict reading as well: the two come from one definition."""
    file = bench((old, new))
    assert not accepted(file)
    assert examine(file).mistakes


def test_it_accepts_what_the_strict_reading_accepts(bench, monkeypatch):
    """Whatever a testbed can say, said once."""
    monkeypatch.setenv("NATSTORM_P", "22")
    file = bench(
        ("  name: bench-in-a-box\n", "  name: bench-in-a-box\n  alias: 5\n"),
        ("      username: root\n", '      username: root\n      password: "%ASK{}"\n    enable: {password: 1234}\n'),
        ("    allow:  ", "    management: [eth0]\n    lab: {provider: static}\n    allow:  "),
        ("devices:\n", "devices:\n  j: {type: jump, os: linux, connections: {cli: {protocol: ssh, ip: '2001:db8::1'}}}\n"),
        ("0.3, port: 22", '0.3, port: "%ENV{NATSTORM_P}", proxy: j'),
        ("      outside_", "      capture: {inside: {source: nic, interface: s0}, outside: {source: tcpdump}}\n      outside_"),
        ("psk: sharedsecret", 'psk: "x%ENV{NATSTORM_P}"'),
    )
    assert examine(file).mistakes == ()
    assert accepted(file)


def keys(kind: object) -> set[str]:
    match kind:
        case Section():
            own = set(kind.fields) | (keys(kind.others.section) if kind.others else set())
            return own.union(*(keys(field.kind) for field in kind.fields.values()))
        case By():
            return keys(kind.otherwise).union(*(keys(case) for case in kind.cases.values()))
        case MapOf() | ListOf():
            return keys(kind.item)
    return set()


def choices(kind: object) -> set[str]:
    """What a value can be, where that is a list of words; personalities have files of their own."""
    match kind:
        case Section():
            inner = [field.kind for key, field in kind.fields.items() if key != "personality"]
            return set().union(*map(choices, inner), choices(kind.others.section) if kind.others else set())
        case By():
            return choices(kind.otherwise).union(*(choices(case) for case in kind.cases.values()))
        case MapOf() | ListOf():
            return choices(kind.item)
        case Value():
            return set(kind.json.get("enum", ()))
    return set()


def test_the_documentation_tells_of_every_key_and_word():
    told = set(re.findall(r"`([^`\s]+?):?`", DOCS.read_text()))
    for file in (definition.FILE, *router_definition.FILES.values()):
        assert keys(file) - told == set()
        assert choices(file) - told == set()
