"""A router's configuration as the journal has it: without the testbed's secrets, and still enough to bring it back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from running import Running, connection, play

from harness.devices import journal
from harness.devices.ios import veiling
from harness.devices.ios.configurations import parse_config
from harness.devices.ios.driver import Ios
from harness.devices.ios.restoring import NotPutBack
from harness.model import Secret
from harness.model.redact import Redactor
from harness.virtual.ios.state import State

SECRETS = Redactor([Secret("hunter2"), Secret("sharedsecret")])
SAVED = """\
hostname LNS
username natstorm password 0 hunter2
crypto keyring L2TP
 pre-shared-key address 0.0.0.0 0.0.0.0 key sharedsecret
interface FastEthernet0/0
 ip address 203.0.113.231 255.255.255.0
end"""


def test_no_secret_is_left_and_nothing_else_is_lost():
    text = veiling.veiled(SAVED, SECRETS, "5a17")
    assert "hunter2" not in text
    assert "sharedsecret" not in text
    assert text.splitlines()[1].startswith("username natstorm password 0 *** #5a17:")
    assert text.splitlines()[3].startswith(" pre-shared-key address 0.0.0.0 0.0.0.0 key *** #5a17:")
    assert veiling.unveiled(text, SAVED) == SAVED
    section, lost = veiling.without_lost(parse_config(veiling.unveiled(text, SAVED)))
    assert (section, lost) == (parse_config(SAVED), ())


def test_what_the_router_has_no_more_is_told_and_not_typed():
    text = veiling.veiled(SAVED, SECRETS, "5a17")
    there = SAVED.replace(" pre-shared-key address 0.0.0.0 0.0.0.0 key sharedsecret\n", "").replace("hunter2", "another")
    section, lost = veiling.without_lost(parse_config(veiling.unveiled(text, there)))
    assert lost == ("username natstorm password 0 ***", "crypto keyring L2TP / pre-shared-key address 0.0.0.0 0.0.0.0 key ***")
    assert section == parse_config(there.replace("username natstorm password 0 another\n", ""))


def test_two_that_are_compared_say_the_same_of_the_same_line():
    assert veiling.veiled(SAVED, SECRETS, "5a17") == veiling.veiled(SAVED, SECRETS, "5a17")
    assert veiling.veiled(SAVED, SECRETS, "5a17") != veiling.veiled(SAVED, SECRETS, "5a18")


# --- on a router ---

pytest.importorskip("asyncssh", reason="no module asyncssh (pip install 'natstorm[virtual-ios]')")
STARTUP = """\
hostname LNS
enable secret enable-me-too
username natstorm password 0 letmein-please
username theirs password 0 a-planted-secret
line con 0
line vty 0 4
 login local
end
"""
PLANTED = Secret("a-planted-secret")
CHANGE = ["username user1 password 0 a-planted-secret", "crypto isakmp key a-planted-secret address 0.0.0.0 0.0.0.0"]


def changed_and_left(router, book):
    """A run that configured the router, and was killed."""

    async def body(device):
        await device.configure(CHANGE)

    play(body, Ios(connection(router), journal=book, secrets=[PLANTED]))
    ((_, undo),) = book.open
    return undo


@pytest.fixture
def router(tmp_path):
    with Running(State(startup=STARTUP), tmp_path, telnet=False) as running:
        yield running


def put_back(router, undo):
    """By somebody who does not know the secret."""

    async def body(device):
        return await device.put_back(undo)

    return play(body, Ios(connection(router)))


@pytest.mark.parametrize("told", [True, False], ids=["with what it became", "killed while it typed"])
def test_a_killed_run_is_undone_from_a_journal_that_holds_no_secret(router, tmp_path, told):
    before = router.ask(lambda state: state.configuration.text())
    book = journal.Journal.create("lab", "lab.yaml", tmp_path / "restore")
    undo = changed_and_left(router, book)
    assert CHANGE[0] in router.ask(lambda state: state.configuration.text())
    assert b"a-planted-secret" not in b"".join(path.read_bytes() for path in (tmp_path / "restore").iterdir())
    assert put_back(router, undo if told else replace(undo, became="")) == ()
    assert router.ask(lambda state: state.configuration.text()) == before


def test_what_somebody_has_taken_away_meanwhile_stays_away(router, tmp_path):
    book = journal.Journal.create("lab", "lab.yaml", tmp_path / "restore")
    undo = changed_and_left(router, book)

    async def body(device):
        await device.type(["no username theirs"])

    play(body, Ios(connection(router)))
    assert put_back(router, undo) == ("- username theirs password 0 ***",)
    assert "username" not in router.ask(lambda state: state.configuration.text()).replace("username natstorm", "")


def test_a_secret_that_the_router_has_lost_is_to_be_typed_by_hand(router, tmp_path):
    """Who killed the run while it typed had its line taken away as well: nobody knows any more what it was."""
    book = journal.Journal.create("lab", "lab.yaml", tmp_path / "restore")
    undo = replace(changed_and_left(router, book), became="")

    async def body(device):
        await device.type(["no username theirs"])

    play(body, Ios(connection(router)))
    with pytest.raises(NotPutBack, match=r"to be typed by hand: username theirs password 0 \*\*\*"):
        put_back(router, undo)
    assert "user1" not in router.ask(lambda state: state.configuration.text())


