"""Whole cores with one part replaced: what a fault in the depths of a core looks like from outside."""

from __future__ import annotations

from typing import TypeVar, cast

from harness.wire.esp import OutboundSa
from harness.wire.ike.association import Association
from harness.wire.ike.core import IkeCore
from harness.wire.ike.handshake import Handshake
from harness.wire.ike.main_mode import MainMode
from harness.wire.ike.quick_mode import QuickMode
from harness.wire.ipsec import Ipsec
from harness.wire.l2tp import L2tpCore
from harness.wire.l2tp.channel import Channel
from harness.wire.ppp import PppCore
from harness.wire.stack import ClientStack

T = TypeVar("T")


def derived(base: type[T], **attributes: object) -> type[T]:
    """A subclass of `base` with these class attributes."""
    return cast(type[T], type(base.__name__, (base,), attributes))


def ike(
    *,
    core: type[IkeCore] = IkeCore,
    association: type[Association] = Association,
    main_mode: type[MainMode] = MainMode,
    handshake: type[Handshake] = Handshake,
    quick_mode: type[QuickMode] = QuickMode,
) -> type[IkeCore]:
    """An IKE core, of a gateway or a client, with other parts."""
    phase_1 = {**association.phase_1_types, "main": derived(main_mode, handshake_type=handshake)}
    broken = derived(association, phase_1_types=phase_1, quick_mode_type=quick_mode)
    return derived(core, association_type=broken)


def l2tp(channel: type[Channel]) -> type[L2tpCore]:
    return derived(L2tpCore, channel_type=channel)


def stack(
    *,
    ike: type[IkeCore] = IkeCore,
    ipsec: type[Ipsec] = Ipsec,
    outbound: type[OutboundSa] = OutboundSa,
    l2tp: type[L2tpCore] = L2tpCore,
    ppp: type[PppCore] = PppCore,
) -> type[ClientStack]:
    """A client with other parts."""
    carrier = derived(ipsec, ike_type=ike, outbound_type=outbound)
    return derived(ClientStack, ipsec_type=carrier, l2tp_type=l2tp, ppp_type=ppp)
