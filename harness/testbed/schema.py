"""The definition of a testbed file as a JSON schema, for editors: what they can tell while one types.

It accepts all that the strict reading accepts. What depends on more than one place of the file only the strict reading knows.
"""

from __future__ import annotations

import json
from typing import Any

from harness.testbed.definition import FILE
from harness.testbed.markup import ENVIRONMENT_PATTERN, SECRET_PATTERN
from harness.testbed.router_definition import FILES
from harness.testbed.shape import By, Field, Free, Kind, ListOf, MapOf, Section, Value

DIALECT = "http://json-schema.org/draft-07/schema#"
"""What editors' YAML modes understand best."""


def document() -> dict[str, Any]:
    """The whole schema."""
    writer = _Writer()
    return {
        "$schema": DIALECT,
        "title": "Natstorm testbed",
        "description": "A pyATS testbed file with natstorm's own values below `custom`. Written by `natstorm check --schema`.",
        "anyOf": [writer.section(one) for one in (FILE, *FILES.values())],
        "definitions": {
            "environment": {"type": "string", "pattern": ENVIRONMENT_PATTERN},
            "hidden": {"type": "string", "pattern": SECRET_PATTERN},
            **writer.named,
        },
    }


def text() -> str:
    """The schema as it is kept in testbeds/schema.json."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


class _Writer:
    def __init__(self) -> None:
        self.named: dict[str, Any] = {}

    def of(self, kind: Kind) -> dict[str, Any]:
        match kind:
            case Value():
                # a part of any value may come from the environment
                elsewhere = ["environment", "hidden"] if kind.secret else ["environment"]
                return {"anyOf": [dict(kind.json), *(_reference(name) for name in elsewhere)]}
            case ListOf():
                return {"type": "array", "items": self.of(kind.item), "minItems": 1, "uniqueItems": True}
            case MapOf():
                return {"type": "object", "additionalProperties": self.of(kind.item)}
            case Section() if kind.name:
                if kind.name not in self.named:
                    self.named[kind.name] = {}  # its place, before those that it holds
                    self.named[kind.name] = self.section(kind)
                return _reference(kind.name)
            case Section():
                return self.section(kind)
            case Free():
                return dict(kind.json)
            case By():
                raise AssertionError("stands beside what it depends on: see section()")

    def section(self, section: Section) -> dict[str, Any]:
        found: dict[str, Any] = {
            "type": "object",
            "properties": {key: self.field(field) for key, field in section.fields.items()},
            "additionalProperties": False if section.others is None else self.of(section.others.section),
        }
        if section.required:
            found["required"] = list(section.required)
        cases = [
            {
                "if": {"properties": {field.kind.key: {"const": value}}, "required": [field.kind.key]},
                "then": {"properties": {key: self.of(case)}},
            }
            for key, field in section.fields.items()
            if isinstance(field.kind, By)
            for value, case in field.kind.cases.items()
        ]
        if cases:
            found["allOf"] = cases
        return found

    def field(self, field: Field) -> dict[str, Any]:
        if isinstance(field.kind, By):
            return {"description": field.about, "type": "object"}
        rule = self.of(field.kind)
        # beside a reference draft 7 overlooks all else
        return {"description": field.about, **({"allOf": [rule]} if "$ref" in rule else rule)}


def _reference(name: str) -> dict[str, Any]:
    return {"$ref": f"#/definitions/{name}"}
