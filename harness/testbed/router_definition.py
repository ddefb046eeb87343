"""What a testbed file of routers may hold, as data: what `definition` is for one with a gateway that is judged."""

from __future__ import annotations

from harness.model.router_lab import LAC, LNS, LNS_2
from harness.testbed import definition, values
from harness.testbed.definition import ADDRESS_ON_LINK, CAPTURE, CLI, CREDENTIALS, JUMP, ROUTERS, TEXT, one_of
from harness.testbed.shape import Field, Free, MapOf, Others, Section, Value

CALLERS = "callers"
ROLES = (LAC, LNS, LNS_2)
"""The routers, by their names; the last one need not be there."""
REACHED_BY = "How it is reached: a router of such a testbed is there already."

ESP_NULL = "Whether scripts may be played with `esp-null`, so that what is in their tunnels can be read (false)."


def _router(role: str, custom: Section) -> Section:
    return Section({
        "type": Field(one_of((role,)), "What it is in the lab.", required=True),
        "os": Field(Value(values.text, {"enum": list(ROUTERS)}), "What runs on it: the choice of the driver.", required=True),
        "alias": Field(TEXT, "Another name, for other readers of the file."),
        "connections": Field(Section({"cli": Field(CLI, "Its command line.", required=True)}), REACHED_BY, required=True),
        "credentials": Field(CREDENTIALS, "Who logs in at this device."),
        "custom": Field(custom, "What is natstorm's own.", required=bool(custom.required)),
    })  # fmt: skip


CALLERS_DEVICE = Section({
    "type": Field(one_of((CALLERS,)), "What it is in the lab.", required=True),
    "os": Field(one_of(("linux",)), "They run on this machine.", required=True),
    "alias": Field(TEXT, "Another name, for other readers of the file."),
    "connections": Field(Section({}), "`{}`: the callers run on this machine.", required=True),
})  # fmt: skip
LAC_CUSTOM = Section({
    "capture": Field(CAPTURE, "Where what passes between the routers can be captured.", required=True),
    "key_file": definition.KEY_FILE,
})  # fmt: skip
LNS_CUSTOM = Section({"key_file": definition.KEY_FILE})

PORT = Section({
    "type": Field(TEXT, "`ethernet`.", required=True),
    "link": Field(TEXT, "The wire it is on; what is on one wire names the same link.", required=True),
    "ipv4": Field(ADDRESS_ON_LINK, "Its address, with prefix length; where callers come in by PPPoE there is none."),
    "alias": Field(TEXT, "Another name, for other readers of the file."),
}, name="port")  # fmt: skip
PORTS = Section({"interfaces": Field(MapOf(PORT), "By the names that they have on the device.", required=True)}, name="ports")

_ABOUT = {LAC: "Who takes the callers' calls, and tunnels them.", LNS: "Who ends the tunnels.", LNS_2: "Another one that can."}
FILE = Section({
    "testbed": Field(
        Section({
            "name": Field(TEXT, "What reports call it (the file's name)."),
            "alias": Field(TEXT, "Another name, for other readers of the file."),
            "credentials": Field(CREDENTIALS, "Who logs in, for every device that does not say it itself."),
            "custom": Field(
                Section({
                    **{name: one for name, one in definition.TESTBED_CUSTOM.fields.items() if name != "lab"},
                    "esp_null": Field(definition.FLAG, ESP_NULL),
                }),
                "What is natstorm's own.",
            ),
        }),
        "About the lab as a whole.",
    ),
    "devices": Field(
        Section(
            {
                CALLERS: Field(CALLERS_DEVICE, "Who calls the LAC, by PPPoE.", required=True),
                **{
                    role: Field(_router(role, LAC_CUSTOM if role == LAC else LNS_CUSTOM), _ABOUT[role], required=role != LNS_2)
                    for role in ROLES
                },
            },
            Others("type", JUMP, definition.device(JUMP, "How it is reached.")),
        ),
        "Who takes part.",
        required=True,
    ),
    "topology": Field(
        Section({
            **{
                one: Field(PORTS, f"Where {one} is attached.", required=one != LNS_2)
                for one in (CALLERS, *ROLES)
            },
            "links": Field(Free(), "pyATS's own section; not looked at."),
        }),
        "How they are wired.",
        required=True,
    ),
})  # fmt: skip
