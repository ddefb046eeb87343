"""The document's LNS for clients that tunnel for themselves, typed into a live router, with and without a NAT before it."""

from __future__ import annotations

import pytest
from live import Live, example

from harness.devices.ios.parsers.crypto_map import parse_crypto_map
from harness.devices.ios.parsers.ipsec_sa import parse_ipsec_sa
from harness.devices.ios.parsers.isakmp_sa import parse_isakmp_sa
from harness.wire import events
from harness.wire.config import EspProposal, IkeProposal

GATEWAY, NAT = "203.0.113.231", "203.0.113.232"
LEFT_OUT = (
    "vpdn-group dial-in", "no l2tp tunnel authentication",
    "crypto ipsec transform-set esp-des-sha-transport esp-des esp-sha-hmac", "mode transport",
    "crypto isakmp policy 1", "authentication pre-share", "crypto isakmp key sharedsecret address 0.0.0.0",
    "interface FastEthernet0/0", f"ip address {GATEWAY} 255.255.255.0",
    "ip local pool P 172.16.1.10 172.16.1.20", "interface Virtual-Template1", "ip unnumbered FastEthernet0/0",
    "peer default ip address pool P", "ppp authentication chap",
    *(f"username user{number} password 0 pw{number}" for number in range(1, 4)),
)  # fmt: skip
PROFILE = "crypto map l2tpsec 10 ipsec-isakmp profile l2tp"
CLIENT = {
    "ike__proposals": (IkeProposal("des", "sha1", "modp768"),),
    "ike__esp_proposals": (EspProposal("des", "sha1"),),
    "ppp__accept": ("chap-md5",),
}


@pytest.fixture
def lns(world):
    def make(*more, nat=True):
        net = world("demux", nat=nat)
        live = Live(lambda: net.now, lambda: net.settle())
        net.gateway = live.router
        checksum = ("vpdn ip udp ignore checksum",) if nat else ()  # without which no client behind a NAT is heard
        live.configure(*example("l2tp-security-voluntary"), *LEFT_OUT, *checksum, *more)
        return net, live

    return make


@pytest.mark.parametrize("nat", [False, True])
def test_a_life_of_two_minutes(lns, nat):
    """SEC-20, 22, 23: five lives later the session is the same, under other SAs."""
    net, live = lns(nat=nat)
    client = net.dial(1, **CLIENT)
    assert client.up
    net.run(620)
    live.connect()
    assert net.ping(client, to=GATEWAY)
    assert len(client.of(events.EspUp)) >= 6
    assert len(client.of(events.TunnelUp)) == len(client.of(events.PppUp)) == 1
    (flow,) = live.shown("show crypto ipsec sa", parse_ipsec_sa)
    assert all(0 < sa.left_s <= 120 for sa in flow.sas)
    (template, clone) = live.shown("show crypto map", parse_crypto_map)
    assert (template.sequence, clone.sequence, clone.lifetime_s) == (10, 20, 120)
    assert clone.peers == ((NAT,) if nat else (client.address,))


@pytest.mark.parametrize("keep", [False, True])
def test_after_the_tunnel(lns, keep):
    """SEC-27, and SEC-39: the client is deaf by then, so that all that goes is the LNS's doing."""
    net, live = lns(*(("vpdn-group dial-in", "l2tp security crypto-profile l2tp keep-sa") if keep else ()))
    client = net.dial(1, **CLIENT)
    net.drop = lambda packet: packet.src == GATEWAY
    (up,) = client.of(events.TunnelUp)
    live.run(f"clear l2tp tunnel id {up.tunnel_remote}")
    net.run(30)  # long enough for the LNS to give up its StopCCN, too short for the client to miss an answer to its Hello
    assert len(live.shown("show crypto isakmp sa", parse_isakmp_sa)) == int(keep)
    assert live.run("show crypto ipsec sa")[-1] == "No SAs found"


def test_demux_with_a_profile(lns):
    """Two clients behind one NAT: the profile's own `set nat demux` keeps both alive, and without it the first is lost."""
    net, live = lns()
    one, two = net.dial(1, **CLIENT), net.dial(2, **CLIENT)
    assert [net.ping(client, to=GATEWAY) for client in (one, two)] == [False, True]
    net, live = lns(PROFILE, "set nat demux")
    one, two = net.dial(1, **CLIENT), net.dial(2, **CLIENT)
    assert [net.ping(client, to=GATEWAY) for client in (one, two)] == [True, True]
    assert [flow.remote.port for flow in live.shown("show crypto ipsec sa", parse_ipsec_sa)] == [1024, 1025]
