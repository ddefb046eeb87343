"""NATs that mean well: what a helper does to clients behind it, and whose fault it is."""

import pytest


@pytest.mark.behaviour("NTT-11")
@pytest.mark.plays("preserving", on=["demux"])
def test_the_first_client_keeps_port_500(judge):
    judge()


@pytest.mark.behaviour("NTT-19")
@pytest.mark.plays("alg", "single-client", on=["demux"])
def test_failures_with_a_helper_are_the_nats(judge):
    judge()


@pytest.mark.behaviour("NTT-20")
@pytest.mark.plays("cookie-helper-alone", "esp-helper-alone", "cookie-helper", "esp-helper", on=["demux"])
def test_clients_with_a_helper(judge):
    judge()


@pytest.mark.behaviour("NTT-21")
@pytest.mark.plays("alg", "single-client", on=["demux"])
def test_blame_follows_the_rule(judge):
    judge()


@pytest.mark.behaviour("NTT-33")
@pytest.mark.plays("pair", "together", "preserving", "symmetric", on=["demux*"])
def test_one_inside_port_of_two_clients_is_never_merged(judge):
    judge()
