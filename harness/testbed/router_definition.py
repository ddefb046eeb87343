"""What testbed files of routers may hold, as data: what `definition` is for one with a gateway that is judged."""

from __future__ import annotations

from collections.abc import Mapping

from harness.model.router_lab import CARD_OF, ESP, L2TP, LAC, LNS, LNS_2, OPTIONAL, ROLES
from harness.model.sites import NAT, WEST, site_of
from harness.testbed import definition, values
from harness.testbed.definition import ADDRESS_ON_LINK, CAPTURE, CAPTURES, CLI, CREDENTIALS, JUMP, ROUTERS, TEXT, one_of
from harness.testbed.shape import Field, Free, MapOf, Others, Section, Value

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


def _of_this_machine(role: str) -> Section:
    return Section({
        "type": Field(one_of((role,)), "What it is in the lab.", required=True),
        "os": Field(one_of(("linux",)), "They run on this machine.", required=True),
        "alias": Field(TEXT, "Another name, for other readers of the file."),
        "connections": Field(Section({}), f"`{{}}`: the {role} run on this machine.", required=True),
    })  # fmt: skip


CUSTOM = Section({"key_file": definition.KEY_FILE})
CUSTOM_OF: Mapping[str, Section] = {
    LAC: Section({
        "capture": Field(CAPTURE, "Where what passes between the routers can be captured.", required=True),
        "key_file": definition.KEY_FILE,
    }),
    NAT: Section({
        "capture": Field(CAPTURES, "Where both sides of it can be captured.", required=True),
        "key_file": definition.KEY_FILE,
    }),
}  # fmt: skip
"""Of the routers that captures are named at."""

PORT = Section({
    "type": Field(TEXT, "`ethernet`.", required=True),
    "link": Field(TEXT, "The wire it is on; what is on one wire names the same link.", required=True),
    "ipv4": Field(ADDRESS_ON_LINK, "Its address, with prefix length; where callers come in by PPPoE there is none."),
    "alias": Field(TEXT, "Another name, for other readers of the file."),
}, name="port")  # fmt: skip
PORTS = Section({"interfaces": Field(MapOf(PORT), "By the names that they have on the device.", required=True)}, name="ports")

_ABOUT = {
    CARD_OF[L2TP]: "Who calls the LAC, by PPPoE.",
    LAC: "Who takes the callers' calls, and tunnels them.",
    LNS: "Who ends the tunnels.",
    LNS_2: "Another one that can.",
    CARD_OF[ESP]: "The hosts behind all endpoints, on one card.",
    NAT: "The NAT that is judged.",
}


def about(role: str) -> str:
    return _ABOUT.get(role) or f"An endpoint {'inside' if site_of(role).side == WEST else 'outside'} the NAT."


def _file(world: str) -> Section:
    card, roles = CARD_OF[world], ROLES[world]
    return Section({
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
                    card: Field(_of_this_machine(card), about(card), required=True),
                    **{
                        role: Field(_router(role, CUSTOM_OF.get(role, CUSTOM)), about(role), required=role not in OPTIONAL)
                        for role in roles
                    },
                },
                Others("type", JUMP, definition.device(JUMP, "How it is reached.")),
            ),
            "Who takes part.",
            required=True,
        ),
        "topology": Field(
            Section({
                **{one: Field(PORTS, f"Where {one} is attached.", required=one not in OPTIONAL) for one in (card, *roles)},
                "links": Field(Free(), "pyATS's own section; not looked at."),
            }),
            "How they are wired.",
            required=True,
        ),
    })  # fmt: skip


FILES: Mapping[str, Section] = {world: _file(world) for world in ROLES}
"""By the world that the routers play in."""
