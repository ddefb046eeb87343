"""The table of rules: which box, what it did, and the test that shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from harness.verdict.reading import Reading
from harness.verdict.rules import accounts, answers, endings, esp, handshake, nat, sharing
from harness.verdict.rules.esp import BY_CLIENT, BY_GATEWAY
from harness.verdict.rules.rule import CLIENT, GATEWAY, NAT, Proof, Rule, Strength

COMPARED, SPOKEN, UNANSWERED, ENDED, TOUCHED, TOLD = Strength

Row = tuple[str, Callable[[Reading], Iterable[Proof]], str]
"""Name, test, and the sentence."""


def _of(box: str, strength: Strength, *rows: Row) -> Iterator[Rule]:
    return (Rule(name, box, strength, sentence, find) for name, find, sentence in rows)


RULES = (
    *_of(
        NAT,
        COMPARED,
        ("payload changed", nat.payload_changed, "the NAT changed {count} payloads of {client}"),
        ("not translated", nat.address_let_through, "the NAT let {client}'s inside address through"),
        ("mappings collide", nat.mappings_collide, "the NAT gave {client} and {other} the same port {port}"),
        ("misdelivered", nat.misdelivered, "the NAT handed {count} of {client}'s packets to another client"),
        ("header changed", nat.header_changed, "the NAT changed {what} from {before} to {behind}"),
        ("carries ESP", nat.esp_carried, "the NAT, meant to know ports only, let out {count} of {client}'s packets of protocol 50"),
        ("mapping forgotten", nat.forgot_mapping, "{sentence}"),
        ("swallowed", nat.swallowed, "{count} of {of} packets of {whose} going {way} went into the NAT and did not come out"),
        ("overtaken", nat.overtaken, "the NAT let {count} of {client}'s packets overtake the QM3 that brings their SA"),
        ("held up", nat.held_up, "the NAT held {count} packets back, for up to {longest} s"),
    ),
    *_of(
        GATEWAY,
        SPOKEN,
        ("another client's SA", esp.wrong_sa, "the gateway put {count} of {client}'s packets into {receiver}'s SA"),
        ("another address", handshake.wrong_address, "the gateway sent {count} of {client}'s packets {way}"),
        (
            "port not followed",
            handshake.not_followed,
            "the gateway sent {count} packets to {client}'s old port {port}, not to {now}",
        ),
        ("port leaked", esp.leaked_port, "the gateway sent {count} packets to {client} with the inner ports {ports}"),
        ("unauthentic", esp.unauthentic(BY_GATEWAY), "{count} ESP packets of the gateway's to {client} are not authentic"),
        ("number twice", esp.number_twice(BY_GATEWAY), "the gateway used {count} ESP numbers twice towards {client}"),
        ("SPI twice", esp.spi_twice(BY_GATEWAY), "the gateway chose SPI {spi} twice"),
        ("ended SA", esp.ended_sa(BY_GATEWAY), "the gateway sent {count} ESP packets to {client} on {spis}, deleted before"),
        (
            "former SA",
            esp.former_sa,
            "the gateway put {count} packets for {client} into {spis}, an SA of the client's from before it came anew",
        ),
        ("unknown SA", esp.unknown_sa, "the gateway sent {count} ESP packets on {spis}, which nobody agreed"),
        ("checksum false", esp.checksum_false(BY_GATEWAY), "{count} inner checksums of the gateway's to {client} are false"),
        ("in clear", esp.in_clear(BY_GATEWAY), "the gateway sent {count} L2TP packets to {client} in clear"),
        ("words damaged", esp.damaged_words, "{client} noted {what} {times} times on its own SA"),
        ("deletes unknown", esp.deletes_unknown(BY_GATEWAY), "the gateway deletes {spis}, which is no SA of {client}"),
        ("wrong numbers", esp.wrong_numbers(BY_GATEWAY), "{count} L2TP packets to {client} bear numbers that it never gave out"),
        ("not offered", handshake.not_offered(BY_GATEWAY), "the gateway's {message} takes what {client} did not offer"),
        ("NAT-D false", handshake.nat_d_false(BY_GATEWAY), "the gateway's NAT-D for {client} is false: {whose} end"),
        (
            "not announced",
            handshake.not_announced(BY_GATEWAY),
            "the gateway announces no NAT-Traversal to {client}, whom a NAT translates",
        ),
        ("NAT-D unasked", handshake.nat_d_unasked(BY_GATEWAY), "the gateway's MM4 for {client} {how}"),
        ("not floated", handshake.not_floated(BY_GATEWAY), "the gateway sent {client} {count} packets beside 4500 after floating"),
        (
            "marker false",
            handshake.marker_false(BY_GATEWAY),
            "{count} IKE messages of the gateway's to {client} have a false marker",
        ),
        ("no IKE", handshake.no_ike(BY_GATEWAY), "the gateway sent {client} {count} packets from port {port} that are no IKE"),
        ("unreadable", handshake.unreadable(BY_GATEWAY), "{count} IKE messages of the gateway's to {client} cannot be read"),
        ("keepalives", handshake.gateway_keepalives, "the gateway, which is behind no NAT, sent {count} keepalives"),
        (
            "address twice",
            sharing.given_twice("PPP address", lambda i: i.ppp_address),
            "the gateway gave {client} and {other} the same {what} {value}",
        ),
        (
            "tunnel twice",
            sharing.given_twice("tunnel", lambda i: i.tunnel_gateway),
            "the gateway gave {client} and {other} the same {what} {value}",
        ),
        (
            "refused again",
            handshake.refused_again,
            "the gateway refused {count} quick modes of {client} for their proposals, and took the same ones before",
        ),
        ("port untold", sharing.untold_port, "L2TP hears {client} by port {port}, though the gateway was told to translate none"),
        ("port out of range", sharing.port_out_of_range, "L2TP hears {client} by port {port}, beyond {last}, the last to be given"),
        ("checksum taken", sharing.took_false_checksums, "the gateway was to verify checksums, and took {client}'s false ones"),
        ("another client's link", sharing.strays, "{count} marks came out of another client's link"),
        ("made twice", sharing.made_twice(GATEWAY), "the gateway delivered {count} marks of {client} more than once"),
    ),
    *_of(
        CLIENT,
        SPOKEN,
        ("unauthentic", esp.unauthentic(BY_CLIENT), "{count} ESP packets of {client} are not authentic"),
        ("number twice", esp.number_twice(BY_CLIENT), "{client} used {count} ESP numbers twice"),
        ("SPI twice", esp.spi_twice(BY_CLIENT), "{client} chose SPI {spi} twice"),
        ("SPI shared", esp.spi_shared, "{client} chose SPI {spi}, which {other} had chosen: it is not drawn by chance"),
        ("checksum false", esp.checksum_false(BY_CLIENT), "{count} inner checksums of {client} do not fit its address"),
        ("in clear", esp.in_clear(BY_CLIENT), "{client} sent {count} L2TP packets in clear"),
        ("deletes unknown", esp.deletes_unknown(BY_CLIENT), "{client} deletes {spis}, which is no SA of its own"),
        ("wrong numbers", esp.wrong_numbers(BY_CLIENT), "{count} L2TP packets of {client} bear numbers that were never given out"),
        ("not offered", handshake.not_offered(BY_CLIENT), "{client}'s {message} takes what the gateway did not offer"),
        ("NAT-D false", handshake.nat_d_false(BY_CLIENT), "{client}'s NAT-D is false: {whose} end"),
        ("not announced", handshake.not_announced(BY_CLIENT), "{client}, whom a NAT translates, announces no NAT-Traversal"),
        ("NAT-D unasked", handshake.nat_d_unasked(BY_CLIENT), "{client}'s MM3 {how}"),
        ("not floated", handshake.not_floated(BY_CLIENT), "{client} sent {count} packets beside 4500 after floating"),
        ("marker false", handshake.marker_false(BY_CLIENT), "{count} IKE messages of {client} have a false marker"),
        ("no IKE", handshake.no_ike(BY_CLIENT), "{client} sent {count} packets to port {port} that are no IKE"),
        ("unreadable", handshake.unreadable(BY_CLIENT), "{count} IKE messages of {client} cannot be read"),
        ("dials without L2TP", accounts.dials_without_l2tp, "{client} ({personality}) dials, and has no L2TP/IPsec of its own"),
        ("wrong ends", handshake.wrong_ends, "{client}'s QM1 {how}"),
        ("made twice", sharing.made_twice(CLIENT), "{client} sent {count} marks more than once"),
        ("odd secret", endings.odd_secret, "{client} has another secret, or gives another name, than it should"),
    ),
    *_of(
        CLIENT,
        UNANSWERED,
        ("no keepalive", answers.no_keepalive, "{client} said nothing for {quiet} s, and sent no keepalive"),
        (
            "does not answer",
            answers.unanswered(BY_CLIENT, (*answers.ALIVE, *answers.RENEWING)),
            "{client} left {count} times {question} without an answer",
        ),
    ),
    *_of(
        GATEWAY,
        UNANSWERED,
        (
            "does not answer",
            answers.unanswered(BY_GATEWAY, (*answers.ALIVE, *answers.STEPS)),
            "the gateway left {client}'s {question} without an answer, {count} times",
        ),
        (
            "marks unanswered",
            answers.marks_unanswered,
            "{count} of {client}'s {of} marks reached the gateway, and no answer left it",
        ),
    ),
    *_of(
        CLIENT,
        UNANSWERED,
        ("authentication refused", endings.refused_authentication, "the gateway refused {client}'s {asked}, and says so"),
    ),
    *_of(
        CLIENT,
        ENDED,
        ("authentication refused", endings.refusal_told, "the gateway says that {client}'s {asked} does not fit the secret"),
    ),
    *_of(
        GATEWAY,
        UNANSWERED,
        (
            "refused for no reason",
            endings.refused_for_no_reason,
            "the gateway refused {client}'s {asked} without a word, or though it took it before",
        ),
    ),
    *_of(
        GATEWAY,
        ENDED,
        ("closed by the gateway", endings.closed_by_gateway, "the gateway ended {client}'s connection: {cause}"),
    ),
    *_of(
        CLIENT,
        ENDED,
        ("ended SA", esp.ended_sa(BY_CLIENT), "{client} sent {count} ESP packets on {spis}, which was deleted before"),
        ("deaf", esp.deaf, "{client} was told that its session has ended, and sent {count} packets on it after that"),
        ("went on", endings.went_on, "{client} deleted the last SA it had, and went on with {spi}"),
        ("went silently", endings.went_silently, "{client} hung up, and told the gateway nothing of it"),
        ("closed by the client", endings.closed_by_client, "{client} ended its connection unasked: {cause}"),
    ),
    *_of(
        NAT,
        TOUCHED,
        ("header touched", nat.header_touched, "the NAT changed {what} from {before} to {behind}"),
        ("port shared", nat.port_shared, "the NAT gave {client} port {port}, which {other} had just used"),
        ("let out twice", nat.let_out_twice, "the NAT let {count} packets out twice"),
        ("keepalives made", nat.keeps_alive, "the NAT sent {count} keepalives that no client had sent"),
        ("TTL kept", nat.ttl_kept, "the NAT let {count} packets through with the TTL they came with"),
    ),
    *_of(
        GATEWAY,
        TOLD,
        ("still held", accounts.still_held, "the gateway still holds what was {client}'s ({label})"),
        ("port kept", accounts.port_kept, "the gateway holds {client}'s port {port} and none of its SAs ({label})"),
        ("lists another socket", accounts.lists_other_socket, "the gateway lists {client} at {shown} ({label})"),
        (
            "lists untold port",
            accounts.lists_untold_port,
            "the gateway lists {client} by port {port} ({label}), and nobody told it to translate any",
        ),
        ("lists no SA", accounts.lists_no_sa, "the gateway lists no SA of {client} ({label}), and uses one"),
    ),
    *_of(
        CLIENT,
        TOLD,
        ("heard and denied", accounts.heard_and_denied, "{client} keeps no record of {count} answers that reached it"),
    ),
)
"""The strongest first. Of one strength the first to show counts, and of these the first in the table."""

DOCUMENTED = ("payload changed", "not translated", "mappings collide", "misdelivered")
"""The faults by which the source tells a NAT that is to blame."""

HIDING = ("carries ESP",)
"""What a NAT does so that no gateway can tell the clients behind it apart: they have one address, and no ports."""
