"""The services of a NAT beside those of ESP and IKE."""

import pytest


@pytest.mark.behaviour("ESN-70")
@pytest.mark.routers("nat-services-ftp")
def test_ftp_on_2021_alone(judge):
    judge()


@pytest.mark.behaviour("ESN-71")
@pytest.mark.routers("nat-services-ftp")
def test_ftp_on_both(judge):
    judge()


@pytest.mark.behaviour("ESN-72")
@pytest.mark.routers("nat-services-skinny")
def test_skinny_on_20002(judge):
    judge()


@pytest.mark.behaviour("ESN-73")
@pytest.mark.routers("nat-services-others")
def test_others_beside_esp_and_ike(judge):
    judge()


@pytest.mark.behaviour("ESN-74")
@pytest.mark.routers("nat-services-others")
def test_preserve_port_is_about_udp(judge):
    judge()
