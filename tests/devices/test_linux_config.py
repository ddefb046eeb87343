"""The gateway's files, rendered from settings."""

import re
from dataclasses import replace

import pytest

from harness.devices import linux_config
from harness.devices.linux_config import GatewaySettings, Timers, render
from harness.errors import UsageError
from harness.model import Secret

VARIANTS = list(linux_config.variants())


def test_the_six_variants():
    assert VARIANTS == ["plain-kernel", "plain-user", "connmark-kernel", "connmark-user", "demux-kernel", "demux-user"]


@pytest.mark.parametrize("variant", VARIANTS)
def test_no_placeholder_is_left(variant):
    for path, text in render(GatewaySettings(variant=variant)).items():
        assert "@{" not in text, path


def option(text, name):
    return re.findall(rf"^\s*{name} = (.*)$", text, re.MULTILINE)


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_makes_the_variant(variant):
    ipsec, l2tp = variant.split("-")
    files = render(GatewaySettings(variant=variant))
    swanctl = files["/etc/swanctl/swanctl.conf"]
    marks = {"plain": [], "connmark": ["%unique"], "demux": ["%unique/0xffff"]}[ipsec]
    assert option(swanctl, "mark_in") == option(swanctl, "mark_out") == marks
    assert option(swanctl, "set_mark_in") == (["%same"] if ipsec == "demux" else [])
    assert option(files["/etc/xl2tpd/xl2tpd.conf"], "force userspace") == ["yes" if l2tp == "user" else "no"]
    assert ("connmark" in files["/etc/strongswan.conf"]) == (ipsec == "connmark")
    assert ("/etc/natstorm/demux-client" in files) == (ipsec == "demux")


@pytest.mark.parametrize("variant", VARIANTS)
def test_unprotected_l2tp_is_dropped_both_ways(variant):
    rules = render(GatewaySettings(variant=variant, interface="wan7"))["/etc/natstorm/rules"]
    drops = [line for line in rules.splitlines() if line.endswith("-j DROP") and "1701" in line]
    assert any(line.startswith("-A INPUT") and "--dport 1701" in line for line in drops)
    assert any(re.match(r"-A (OUTPUT|POSTROUTING) .*--sport 1701 .*--dir out --pol none", line) for line in drops)


def test_no_rekey_of_its_own_has_no_random_part():
    """strongSwan would otherwise draw it from the lifetime, wrap below zero, and rekey every second."""
    swanctl = render(GatewaySettings())["/etc/swanctl/swanctl.conf"]
    assert option(swanctl, "rekey_time") == ["0s", "0s"]
    assert option(swanctl, "rand_time") == ["0s", "0s"]


def test_bad_input_settings():
    settings = GatewaySettings(
        psk=Secret("wrong"),
        users={"user1": Secret("other")},
        ike_proposals=("aes256-sha256-ecp384",),
        esp_proposals=("aes128-sha256",),
        authentication="chap-md5",
    )
    files = render(settings)
    assert option(files["/etc/swanctl/swanctl.conf"], "proposals") == ["aes256-sha256-ecp384"]
    assert option(files["/etc/swanctl/swanctl.conf"], "esp_proposals") == ["aes128-sha256"]
    assert option(files["/etc/swanctl/swanctl.conf"], "secret") == ['"wrong"']
    assert files["/etc/ppp/chap-secrets"] == '"user1" lns "other" *\n'
    lines = files["/etc/ppp/options.xl2tpd"].split("\n")
    assert "require-chap" in lines
    assert "refuse-mschap-v2" in lines


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"variant": "demux"}, "no gateway variant 'demux'"),
        ({"authentication": "pap"}, "no PPP authentication 'pap'"),
        ({"psk": Secret('a"b')}, "cannot be written"),
        ({"users": {"a\nb": Secret("x")}}, "cannot be written"),
    ],
)
def test_settings_that_cannot_be(change, said):
    with pytest.raises(UsageError, match=said):
        render(replace(GatewaySettings(), **change))


def test_a_dollar_in_a_secret_is_a_dollar():
    assert '"p$w@{psk}%"' in render(GatewaySettings(psk=Secret("p$w@{psk}%")))["/etc/swanctl/swanctl.conf"]


def test_scaled_timers_and_how_they_are_told():
    shipped = Timers()
    fast = shipped.scaled(10)
    assert (fast.dpd_delay, fast.lcp_echo_interval, fast.lcp_echo_failures, fast.ike_rekey) == (3.0, 3, 4, 0)
    assert "dpd_delay: 3 instead of 30" in fast.against(shipped)
    assert (fast.l2tp_max_retries, shipped.scaled(2).l2tp_max_retries, shipped.scaled(1)) == (3, 4, shipped)
    assert shipped.against(shipped) == ()


def test_a_timer_that_is_on_is_not_scaled_to_off():
    fast = Timers(lcp_echo_interval=5, esp_rekey=30).scaled(1000)
    assert fast.lcp_echo_interval == 1
    swanctl = render(GatewaySettings(timers=fast))["/etc/swanctl/swanctl.conf"]
    assert option(swanctl, "dpd_delay") == ["1s"]
    assert option(swanctl, "rekey_time") == ["0s", "1s"]


def test_the_networks_of_the_ppp_links_are_the_pools_and_the_gateways_own():
    assert GatewaySettings(ppp_address="10.9.0.1", pool="10.9.1.0-10.9.1.254").ppp_networks[0] == "10.9.0.1/32"
    assert GatewaySettings(ppp_address="10.9.1.255", pool="10.9.1.0-10.9.1.254").ppp_networks == ("10.9.1.0/24",)
    assert "172.16.1.200/32" in GatewaySettings().ppp_networks


@pytest.mark.parametrize("variant", VARIANTS)
def test_on_somebodys_device_every_rule_is_in_a_chain_of_our_own(variant):
    def rules(**changes):
        return render(GatewaySettings(variant=variant, **changes))["/etc/natstorm/rules"].splitlines()

    own, shared = rules(), rules(shared=True)
    added = [line for line in shared if line.startswith("-A ")]
    assert added == [line.replace("-A ", "-A natstorm-") for line in own if line.startswith("-A ")]
    made = [line.split()[0][1:] for line in shared if line.startswith(":")]
    assert all(chain.startswith("natstorm-") for chain in made)  # no policy is set
    assert {line.split()[1] for line in added} <= set(made)
    assert [line for line in shared if line.startswith("-I ")] == [
        f"-I {chain.removeprefix('natstorm-')} 1 -j {chain}" for chain in made
    ]
    assert shared.count("COMMIT") == sum(line.startswith("*") for line in shared)
    assert {"natstorm-INPUT", "natstorm-OUTPUT"} <= set(made)  # a gateway is silenced in these
