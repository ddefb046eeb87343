"""From what one played scenario left behind to its `Evidence`: captures dissected, sides paired, clients identified."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from harness.errors import CaptureError
from harness.model import ClientPlan, ClockOffset, Evidence, FrameKind, GatewayView, Observation, Record, RecordKind, Side
from harness.model.redact import Redactor
from harness.model.testbed import Testbed
from harness.probes import clocks
from harness.probes.dissect import Addresses, Dissection, Dissector
from harness.probes.identity import translated_ports, with_gateway_ports
from harness.probes.keyring import read_keys
from harness.probes.sentinel import watch
from harness.probes.sites import sort_out
from harness.probes.tshark import write_keys
from harness.scenario.bench import Gathered
from harness.verdict.sites import DIRECT

TITLES = {
    "inside.pcap": "capture inside the NAT",
    "inside-2.pcap": "capture inside the second NAT",
    "outside.pcap": "capture outside the NAT",
    "decrypted.pcap": "capture, decrypted",
    "far-end.pcap": "capture at the far end",
    "translated.pcap": "capture inside the gateway, between IPsec and L2TP",
    "records.jsonl": "what the clients say",
}
"""Attachments of every scenario, in the order in which a reader wants them."""


async def gather(
    gathered: Gathered,
    dissector: Dissector,
    testbed: Testbed,
    scenario: str,
    variant: str,
    plans: Sequence[ClientPlan],
    folder: Path,
    clear_expected: bool = False,
    translated: bool = True,
    redactor: Redactor | None = None,
) -> Evidence:
    """The evidence of one scenario. A capture that cannot be read is trouble, not an error: the verdict is INCONCLUSIVE then.

    `translated`: whether what stands before the clients of a site is a NAT, and not a mere router. What devices say of themselves
    may hold what they were configured with: from here on it is without secrets, those that `redactor` knows (the testbed's).
    """
    redact(gathered, redactor or Redactor(testbed.secrets))
    clients = {plan.name: plan.address for plan in plans}
    gateway, nat_outside = testbed.gateway.address, testbed.nat.outside.host
    trouble = list(gathered.trouble)
    keys = folder / "keys.jsonl"
    clock: ClockOffset | None = None

    async def dissect() -> Dissection:
        return await dissector.dissect_async(
            {facts.side: facts.path for facts in gathered.captures},
            keys=keys,
            addresses=Addresses(gateway, nat_outside, clients),
            decrypted=folder / "decrypted.pcap",
            clock=clock,
        )

    try:
        seen = await dissect()
        if testbed.two_clocks:
            clock = clocks.compare(seen, gateway)
            if clock is not None and clock.corrected:
                seen = await dissect()  # once more, in the order in which things happened
    except CaptureError as error:
        trouble.append(str(error))
        seen = Dissection()
    trouble += [f"the {side.value} capture is damaged: {why}" for side, why in seen.damaged.items()]
    write_keys(read_keys(keys), folder / "tshark-keys")
    write_texts(gathered, folder / "gateway")
    everything = tell_injected_apart(seen if clock is None else clocks.on_one_clock(seen, clock), gathered.records)
    own = {side: tuple(o for o in frames if o.kind is not FrameKind.INJECTED) for side, frames in everything.items()}
    paired, found, sites = sort_out(own, plans, gateway, nat_outside, gathered.sites)
    direct = {plan.address for plan in plans if plan.site == DIRECT}
    exposed = watch(own, nat_traversal=lambda o: translated and not {o.src, o.dst} & direct, clear_expected=clear_expected)
    exposures = tuple((finding.side.value, finding.frame, f"{finding.exposure.value}: {finding.why}") for finding in exposed)
    return Evidence(
        scenario=scenario,
        testbed=testbed.name,
        variant=variant,
        plans=tuple(plans),
        steps=tuple(gathered.steps),
        records=tuple(gathered.records),
        observations=everything,
        captures=tuple(gathered.captures),
        pairs=paired.pairs,
        identities=with_gateway_ports(found, gateway_ports(gathered.views, own.get(Side.TRANSLATED, ()))),
        gateway_address=gateway,
        nat_outside=nat_outside,
        gateway_views=tuple(gathered.views),
        logs=gathered.logs,
        gateway_events=tuple(gathered.gateway_events),
        nat_views=tuple(gathered.nat_views),
        sites=sites,
        attachments={title: str(folder / name) for name, title in TITLES.items() if (folder / name).exists()},
        trouble=tuple(trouble),
        exposures=exposures,
        clear_expected=clear_expected,
        clock=clock,
        printed=tuple(gathered.printed),
        logged=tuple(gathered.logged),
        told=tuple(gathered.told),
    )


def gateway_ports(views: Sequence[GatewayView], boundary: Sequence[Observation]) -> dict[int, tuple[str, int]]:
    """The gateway's tunnel ID → (address, port) by which its L2TP knows the peer: as captured inside it, else as it lists them."""
    listed = {s.tunnel_local: (s.peer_address, s.peer_port) for view in views for s in view.sessions if s.peer_port is not None}
    return listed | translated_ports(boundary)


def tell_injected_apart(
    seen: Mapping[Side, tuple[Observation, ...]], records: Sequence[Record]
) -> dict[Side, tuple[Observation, ...]]:
    """The frames that the scenario itself injected, by their digests in its own account, are no box's: whatever they look like,
    nothing is read into them. Nor into what the gateway answers to the stray address, on either side of the NAT."""
    told = [r.data for r in records if r.kind is RecordKind.INJECTED]
    injected, strays = {str(data["digest"]) for data in told}, {str(data["stray"]) for data in told}
    injected |= {o.payload_digest for o in seen.get(Side.INSIDE, ()) if o.dst in strays}
    return {
        side: tuple(
            replace(o, kind=FrameKind.INJECTED, ike=None, esp=None, inner=None, problem=None) if o.payload_digest in injected else o
            for o in frames
        )
        for side, frames in seen.items()
    }


def redact(gathered: Gathered, redactor: Redactor) -> None:
    """Takes the secrets out of the gateway's logs and views, and out of what went wrong on the devices. Its numbers stay."""
    gathered.logs = {name: redactor.text(text) for name, text in gathered.logs.items()}
    gathered.printed[:] = [replace(one, text=redactor.text(one.text)) for one in gathered.printed]
    gathered.views[:] = [replace(view, texts=redactor.value(view.texts)) for view in gathered.views]
    gathered.trouble[:] = [redactor.text(one) for one in gathered.trouble]


def write_texts(gathered: Gathered, folder: Path) -> None:
    """The gateway's logs, and its views as it gave them: one file each."""
    folder.mkdir(exist_ok=True)
    for name, text in gathered.logs.items():
        (folder / f"{name}.log").write_text(text, encoding="utf-8")
    for number, view in enumerate(gathered.views, start=1):
        parts = [f"### {command}\n{text.rstrip()}\n" for command, text in view.texts.items()]
        (folder / f"view-{number:02d}-{view.label.replace(':', '-')}.txt").write_text("\n".join(parts), encoding="utf-8")
