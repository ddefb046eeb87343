"""Path MTU discovery and Don't Fragment of L2TP tunnels."""

from __future__ import annotations

import pytest


@pytest.mark.behaviour("SEC-110")
@pytest.mark.routers("l2tp-path-mtu")
def test_by_default_nothing_is_learnt(judge):
    judge()


@pytest.mark.behaviour("SEC-111")
@pytest.mark.routers("l2tp-path-mtu")
def test_an_icmp_message_sets_the_mtu(judge):
    judge()


@pytest.mark.behaviour("SEC-112")
@pytest.mark.routers("l2tp-path-mtu")
def test_too_big_is_dropped_and_its_sender_told(judge):
    judge()


@pytest.mark.behaviour("SEC-113")
@pytest.mark.routers("l2tp-path-mtu")
def test_dont_fragment_is_reflected(judge):
    judge()


@pytest.mark.behaviour("SEC-114")
@pytest.mark.routers("l2tp-path-mtu")
def test_its_absence_is_reflected(judge):
    judge()


@pytest.mark.behaviour("SEC-115")
@pytest.mark.routers("l2tp-path-mtu")
def test_as_large_as_the_mtu(judge):
    judge()


@pytest.mark.behaviour("SEC-116")
@pytest.mark.routers("l2tp-df-bit")
def test_df_bit_set(judge):
    judge()


@pytest.mark.behaviour("SEC-117")
@pytest.mark.routers("l2tp-path-mtu-scope")
def test_each_group_for_itself(judge):
    judge()


@pytest.mark.behaviour("SEC-118")
@pytest.mark.routers("l2tp-pseudowire-class")
def test_a_pseudowire_class_takes_it(judge):
    judge()


@pytest.mark.behaviour("SEC-119")
@pytest.mark.routers("l2tp-path-mtu")
def test_without_again_nothing_is_learnt(judge):
    judge()


@pytest.mark.behaviour("SEC-121")
@pytest.mark.routers("l2tp-forged-icmp")
def test_a_forged_message_teaches_nothing(judge):
    judge()


@pytest.mark.behaviour("SEC-122")
@pytest.mark.routers("l2tp-path-mtu-behind-nat")
def test_no_black_hole_behind_a_nat(judge):
    judge()
