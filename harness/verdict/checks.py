"""Which check judges which row of the catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from harness.verdict import endings, eviction, floating, mapping, negotiation, ports, survivors, translation
from harness.verdict.trust import Check

_ROWS = {
    "DMX-01": eviction.newcomer_evicts_established,
    "DMX-02": eviction.gateway_key_collides,
    "DMX-04": eviction.only_the_last_comer_receives,
    "DMX-07": survivors.all_survive_every_newcomer,
    "DMX-10": ports.first_client_gets_first_port,
    "DMX-11": ports.second_client_gets_next_port,
    "DMX-12": ports.each_client_has_its_own_port,
    "DMX-17": ports.ports_follow_order_of_arrival,
    "DMX-20": translation.source_port_is_translated_inbound,
    "DMX-21": translation.destination_port_is_translated_back_outbound,
    "DMX-22": translation.destination_port_selects_the_sa,
    "DMX-24": translation.translated_ports_stay_inside,
    "DMX-25": survivors.no_cross_delivery,
    "DMX-29": survivors.lone_client_works,
    "DMX-30": negotiation.nat_is_recognised_by_both_ends,
    "DMX-31": negotiation.transport_mode_in_udp_is_requested,
    "DMX-32": negotiation.proxies_are_inside_address_and_gateway,
    "DMX-33": mapping.outside_source_is_the_nat,
    "DMX-34": mapping.inner_port_crosses_unchanged,
    "DMX-35": mapping.inner_checksum_is_of_the_inside_address,
    "DMX-40": endings.ipsec_delete_ends_only_its_client,
    "DMX-43": endings.gateway_close_ends_only_its_client,
    "DMX-44": endings.client_close_ends_only_itself,
    "DMX-45": endings.lost_client_is_cleared_away,
    "DMX-74": survivors.simultaneous_start_succeeds,
    "LNX-01": survivors.established_survive,
    "LNX-02": survivors.established_survive_as_newcomer_comes_late,
    "NTT-01": negotiation.both_announce_nat_traversal,
    "NTT-03": negotiation.nat_d_shows_the_nat,
    "NTT-04": negotiation.both_know_of_the_nat_after_mm4,
    "NTT-05": floating.main_mode_floats_at_mm5,
    "NTT-06": floating.floated_ike_has_its_marker,
    "NTT-07": floating.one_mapping_carries_everything,
    "NTT-08": floating.keepalives_come_from_behind_the_nat_only,
    "NTT-10": mapping.port_500_is_translated,
    "NTT-12": mapping.port_4500_is_translated,
    "NTT-13": mapping.mappings_differ,
    "NTT-14": mapping.payload_crosses_untouched_outbound,
    "NTT-15": mapping.payload_crosses_untouched_inbound,
    "NTT-16": mapping.nothing_else_changes,
    "NTT-17": mapping.gateway_end_is_unchanged,
    "NTT-18": mapping.housekeeping_keeps_clients_apart,
    "NTT-25": floating.quick_mode_sa_exists_on_both_peers,
    "NTT-27": mapping.nothing_crosses_in_clear,
    "NTT-28": survivors.clients_live_together,
}

CHECKS: Mapping[str, Check] = cast("Mapping[str, Check]", _ROWS)
"""Behaviour ID → check. Each takes an Evidence and gives a Verdict; `needs` says what it rests on."""
