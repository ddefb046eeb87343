"""A router whose SSH knows only what IOS 12.x does: what is told of it without `old_ssh`, and that it is reached with it."""

from __future__ import annotations

from functools import partial

import pytest
from running import connection, play
from test_ios import Router

from harness.devices.ios.driver import Ios
from harness.devices.ssh import Unreachable
from harness.errors import DeviceError

pytestmark = pytest.mark.filterwarnings("ignore:Diffie-Hellman over finite fields")  # of asyncssh's own, which is the point here

OLD = {
    "kex_algs": ["diffie-hellman-group1-sha1"],
    "encryption_algs": ["aes128-cbc", "3des-cbc"],
    "mac_algs": ["hmac-sha1"],
    "signature_algs": ["ssh-rsa"],
}


@pytest.fixture
def router(tmp_path, monkeypatch):
    asyncssh = pytest.importorskip("asyncssh", reason="no module asyncssh (pip install 'natstorm[virtual-ios]')")
    monkeypatch.setattr(asyncssh, "listen", partial(asyncssh.listen, **OLD))
    with Router(tmp_path) as running:
        yield running


def version(router, **changes):
    return play(lambda device: device.version(), Ios(connection(router, **changes)))


def test_what_it_lacks_is_told_with_the_cure(router):
    with pytest.raises(DeviceError, match="no matching key exchange method; the device offers diffie-hellman-group1") as caught:
        version(router)
    assert "`old_ssh: true`" in str(caught.value)
    assert not isinstance(caught.value, Unreachable)  # for that one is tried again


def test_it_is_reached_where_the_testbed_says_that_it_is_old(router):
    assert version(router, old_ssh=True).version == "12.4(24)T"


def test_where_even_that_is_not_enough_no_cure_is_told_that_would_be_none(router, monkeypatch):
    monkeypatch.setattr("harness.devices.ssh_typed.OLD_SSH", ("KexAlgorithms=+diffie-hellman-group14-sha1",))
    with pytest.raises(DeviceError, match="no algorithm in common") as caught:
        version(router, old_ssh=True)
    assert "old_ssh" not in str(caught.value)
