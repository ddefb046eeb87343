"""Orders to a gateway's process as bytes, answers as bytes, on a gateway in memory."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from harness.model import CaptureFacts, Secret, Side
from harness.virtual.control import ORDERS, Control, revealed
from harness.wire import events

FACTS = CaptureFacts(Side.FAR_END, "far-end.pcap", "any", 7, 0, True)


class Process:
    """What stands around the gateway; the gateway itself is real."""

    def __init__(self, net: Any) -> None:
        self.net = net
        self.gateway = net.gateway
        self.witnessed: Path | None = None

    def now(self) -> float:
        return self.net.now

    def epoch(self, now: float) -> float:
        return now + 1e9

    def events(self) -> list[dict[str, Any]]:
        return [{"kind": "esp-up"}]

    def logs(self) -> dict[str, str]:
        return {"gateway": "said"}

    def stats(self) -> dict[str, Any]:
        return {"wire": {"received": 3}}

    def start_witnesses(self, folder: Path) -> None:
        self.witnessed = folder

    def stop_witnesses(self) -> list[Any]:
        return [FACTS]


@pytest.fixture
def net(world):
    return world("demux")


def asked(net, **order: Any) -> Any:
    """What is answered to one order, which came whole."""
    (answer,) = Control(Process(net)).answer(json.dumps(order).encode() + b"\n").splitlines()
    return json.loads(answer)


def test_orders_change_the_gateway(net) -> None:
    one, two, three = (net.dial(number) for number in (1, 2, 3))
    sessions = net.view().sessions
    assert asked(net, do="close_l2tp", tunnel=sessions[0].tunnel_local) == {"done": None}
    assert asked(net, do="close_call", session=sessions[1].session_local) == {"done": None}
    assert asked(net, do="rekey", spi=net.spi(three)) == {"done": None}
    net.run(20)
    assert (one.up, two.up, three.up) == (False, False, True)
    assert len(three.of(events.EspUp)) == 2
    assert asked(net, do="rekey_ike", udp_port=net.outside[three.address, 4500]) == {"done": None}
    net.run(20)
    assert len(three.of(events.IkeUp)) == 2
    assert asked(net, do="silence", on=True) == {"done": None}
    assert not net.ping(three)
    assert asked(net, do="silence", on=False) == {"done": None}
    assert net.ping(three)
    assert asked(net, do="ended") == {"done": False}
    assert asked(net, do="delete_esp", spi=net.spi(three)) == {"done": None}
    net.run(20)
    assert not three.up
    four = net.dial(4)
    assert asked(net, do="delete_ipsec", udp_port=net.outside[four.address, 4500], address="203.0.113.232") == {"done": None}
    net.run(20)
    assert not four.up
    five = net.dial(5)
    assert asked(net, do="restart") == {"done": None}
    assert not net.view().sas
    assert not net.ping(five)
    six = net.dial(6)
    assert asked(net, do="shut_down") == {"done": None}
    net.run(10)
    assert not six.up
    assert asked(net, do="ended") == {"done": True}


def test_every_order_is_the_gateways(net) -> None:
    assert all(callable(getattr(net.gateway, order)) for order in ORDERS)


def test_settings_come_as_json(net) -> None:
    changes = {"psk": "another", "users": {"user2": "new"}, "authentication": ["pap"], "demux": False}
    assert asked(net, do="reconfigure", changes=changes) == {"done": None}
    assert net.dial(2, ike__psk=b"another", ppp__password="new", ppp__accept=("pap",)).up
    assert not net.of("port-given")
    found = revealed({"psk": "a", "users": {"u": "b"}, "authentication": ["pap", "chap-md5"], "mru": 1400})
    assert (found["psk"].reveal(), found["users"]["u"].reveal()) == ("a", "b")
    assert all(isinstance(secret, Secret) for secret in (found["psk"], found["users"]["u"]))
    assert (found["authentication"], found["mru"]) == (("pap", "chap-md5"), 1400)
    assert revealed({"mru": 1300}) == {"mru": 1300}


def test_the_view_is_told_in_the_worlds_time(net) -> None:
    net.dial(1)
    view, told = net.view(), asked(net, do="view", label="both")["done"]
    assert (told["t"], told["label"]) == (net.now + 1e9, "both")
    assert told["sessions"][0]["ppp_address"] == view.sessions[0].ppp_address
    assert told["sas"][0]["spi"] == view.sas[0].spi
    assert told["ports"] == {"1": 1024}


def test_the_rest_is_the_processs(net) -> None:
    process = Process(net)
    control = Control(process)

    def answered(**order: Any) -> Any:
        return json.loads(control.answer(json.dumps(order).encode() + b"\n"))

    assert answered(do="events") == {"done": [{"kind": "esp-up"}]}
    assert answered(do="logs") == {"done": {"gateway": "said"}}
    assert answered(do="stats") == {"done": {"wire": {"received": 3}}}
    assert answered(do="start_witnesses", folder="/captures") == {"done": None}
    assert process.witnessed == Path("/captures")
    (facts,) = answered(do="stop_witnesses")["done"]
    assert facts == asdict(FACTS)


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ({"do": "fly"}, "ValueError: there is no order 'fly'"),
        ({"do": "delete_esp", "spi": "deadbeef"}, "no ESP SA with SPI deadbeef"),
        ({"do": "delete_esp"}, "TypeError"),
        ({"do": "view"}, "KeyError: 'label'"),
        ({"do": "reconfigure", "changes": {"colour": "red"}}, "no setting colour"),
        ({"spi": 7}, "TypeError"),
    ],
)
def test_what_cannot_be_done_is_answered(net, order, words) -> None:
    answer = asked(net, **order)
    assert list(answer) == ["wrong"]
    assert words in answer["wrong"]


def test_orders_come_in_pieces_and_together(net) -> None:
    control = Control(Process(net))
    assert control.answer(b'{"do": "en') == b""
    assert control.answer(b'ded"}\n\n{"do": "ended"}\nnonsense\n{"do"') == (
        b'{"done": true}\n{"done": true}\n{"wrong": "JSONDecodeError: Expecting value: line 1 column 1 (char 0)"}\n'
    )
    assert control.answer(b': "logs"}\n') == b'{"done": {"gateway": "said"}}\n'
