"""Which calls a LAC tunnels, to whom and under which name, and what the LNS does with them."""

from __future__ import annotations

import pytest


@pytest.mark.behaviour("SEC-01")
@pytest.mark.routers("l2tp-call")
def test_call_end_to_end(judge):
    judge()


@pytest.mark.behaviour("SEC-03")
@pytest.mark.routers("l2tp-call")
def test_caller_unaware(judge):
    judge()


@pytest.mark.behaviour("SEC-04")
@pytest.mark.routers("l2tp-domains")
def test_domain_selects_the_tunnel(judge):
    judge()


@pytest.mark.behaviour("SEC-05")
@pytest.mark.routers("l2tp-domains")
def test_several_domains(judge):
    judge()


@pytest.mark.behaviour("SEC-06")
@pytest.mark.routers("l2tp-two-servers")
def test_initiates_to_the_address(judge):
    judge()


@pytest.mark.behaviour("SEC-07")
@pytest.mark.routers("l2tp-names")
def test_tunnel_bears_the_local_name(judge):
    judge()


@pytest.mark.behaviour("SEC-08")
@pytest.mark.routers("l2tp-names")
def test_other_names_are_refused(judge):
    judge()


@pytest.mark.behaviour("SEC-09")
@pytest.mark.routers("l2tp-call")
def test_tunnel_authentication(judge):
    judge()


@pytest.mark.behaviour("SEC-10")
@pytest.mark.routers("l2tp-tunnel-password")
def test_wrong_tunnel_password(judge):
    judge()


@pytest.mark.behaviour("SEC-12")
@pytest.mark.routers("l2tp-lcp")
def test_lcp_is_always_begun_again(judge):
    judge()


@pytest.mark.behaviour("SEC-13")
@pytest.mark.routers("l2tp-lcp")
def test_lcp_is_begun_again_on_mismatch(judge):
    judge()


@pytest.mark.behaviour("SEC-14")
@pytest.mark.routers("l2tp-lcp")
def test_lcp_is_taken_over(judge):
    judge()


@pytest.mark.behaviour("SEC-15")
@pytest.mark.routers("l2tp-pool")
def test_addresses_from_the_local_pool(judge):
    judge()


@pytest.mark.behaviour("SEC-16")
@pytest.mark.routers("l2tp-logging")
def test_events_are_not_logged(judge):
    judge()


@pytest.mark.behaviour("SEC-17")
@pytest.mark.routers("l2tp-client-example")
def test_client_configuration_loads(judge):
    judge()
