"""RADIUS packets and credentials by the worked examples of RFC 2865 §7, and by what the RFCs' definitions give by hand."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import ProtocolError
from harness.wire.ppp import mschap
from harness.wire.ppp.authority import Claim
from harness.wire.radius import credentials, packet
from harness.wire.radius.attributes import Attribute, Attributes, attribute
from harness.wire.radius.attributes import build as build_attributes
from harness.wire.radius.attributes import parse as parse_attributes
from harness.wire.radius.packet import Code

# RFC 2865 §7: router 192.168.1.16 and its server share this secret. The packets are printed there byte by byte.
SECRET = b"xyzzy5461"
TELNET_REQUEST = bytes.fromhex(
    "010000380f403f9473978057bd83d5cb98f4227a01066e656d6f02120dbe708d93d413ce3196e43f782a0aee0406c0a80110050600000003"
)
TELNET_ACCEPT = bytes.fromhex("0200002686fe220e7624ba2a1005f6bf9b55e0b20606000000010f06000000000e06c0a80103")
FRAMED_REQUEST = bytes.fromhex(
    "010100472aee86f08d0d55969ca5978e0d3367a20108666c6f707379031316e97557c316185895f293ff634407"
    "72750406c0a80110050600000014060600000002070600000001"
)
FRAMED_ACCEPT = bytes.fromhex(
    "0201003815efbc7dab26cfa3dc34d9c03c8601a40606000000020706000000010806fffffffe0a06000000020d06000000010c06000005dc"
)
MOPSY_REQUEST = bytes.fromhex(
    "01020039f3a47a1f6a6d76710b947ab93041a03901076d6f7073790212336575737782"
    "89b570885e15084825c50406c0a80110050600000007"
)
MOPSY_CHALLENGE = bytes.fromhex(
    "0b02004e36f3c8764ae8c71157403c0c71ff9c4512304368616c6c656e67652033323736393433302e2020456e74657220726573706f6e7365"
    "2061742070726f6d70742e180a3332373639343330"
)


def test_the_first_example() -> None:
    """§7.1: user nemo, password arctangent."""
    request = packet.parse(TELNET_REQUEST)
    assert (request.code, request.identifier, request.data) == (Code.ACCESS_REQUEST, 0, TELNET_REQUEST)
    found = request.attributes
    assert (found.text("user-name"), found.address("nas-ip-address"), found.number("nas-port")) == ("nemo", "192.168.1.16", 3)
    assert credentials.claim_of(request, SECRET) == Claim("pap", "nemo", 0, b"", b"arctangent")
    hidden = credentials.hide(b"arctangent", request.authenticator, SECRET)
    said = (attribute("user-name", "nemo"), attribute("user-password", hidden), *found[2:])
    assert packet.build(1, 0, request.authenticator, said) == TELNET_REQUEST
    packet.check_response(packet.parse(TELNET_ACCEPT), request.authenticator, SECRET)
    answer = packet.response(Code.ACCESS_ACCEPT, request, packet.parse(TELNET_ACCEPT).attributes, SECRET, sign=False)
    assert answer == TELNET_ACCEPT


def test_the_second_example() -> None:
    """§7.2: user flopsy by CHAP, whose challenge is the authenticator itself; the address is the router's to choose."""
    request = packet.parse(FRAMED_REQUEST)
    claim = credentials.claim_of(request, SECRET)
    assert (claim.method, claim.user, claim.identifier, claim.challenge) == ("chap-md5", "flopsy", 22, request.authenticator)
    assert claim.value == mschap.chap_md5(22, "arctangent", request.authenticator)
    accept = packet.parse(FRAMED_ACCEPT)
    packet.check_response(accept, request.authenticator, SECRET)
    assert accept.attributes.address("framed-ip-address") == "255.255.255.254"
    assert credentials.granted(accept.attributes, claim).address is None


def test_the_third_example() -> None:
    """§7.3: a challenge, which a router asking for PPP can only take for a no."""
    request, challenge = packet.parse(MOPSY_REQUEST), packet.parse(MOPSY_CHALLENGE)
    claim = credentials.claim_of(request, SECRET)
    assert (claim.user, claim.value) == ("mopsy", b"challenge")
    packet.check_response(challenge, request.authenticator, SECRET)
    decision = credentials.denied(challenge.attributes, claim)
    assert not decision.good
    assert "Challenge 32769430." in decision.message


@pytest.mark.parametrize("position", range(len(TELNET_ACCEPT)))
def test_a_response_of_which_any_byte_is_another(position: int) -> None:
    changed = bytearray(TELNET_ACCEPT)
    changed[position] ^= 1
    with pytest.raises(ProtocolError):
        packet.check_response(packet.parse(bytes(changed)), TELNET_REQUEST[4:20], SECRET)


def test_hiding_by_hand() -> None:
    """§5.2: b1 = MD5(S + RA), c1 = p1 xor b1; b2 = MD5(S + c1), c2 = p2 xor b2."""
    authenticator, password = bytes(range(16)), b"seventeen letters"
    first = hashlib.md5(SECRET + authenticator).digest()
    one = bytes(a ^ b for a, b in zip(password[:16], first, strict=True))
    second = hashlib.md5(SECRET + one).digest()
    two = bytes(a ^ b for a, b in zip(password[16:].ljust(16, b"\0"), second, strict=True))
    assert credentials.hide(password, authenticator, SECRET) == one + two


@given(st.binary(max_size=128).filter(lambda one: not one.endswith(b"\0")), st.binary(min_size=16, max_size=16))
def test_what_is_hidden_can_be_revealed(password: bytes, authenticator: bytes) -> None:
    hidden = credentials.hide(password, authenticator, SECRET)
    assert len(hidden) == max(16, (len(password) + 15) // 16 * 16)
    assert credentials.reveal(hidden, authenticator, SECRET) == password


def test_a_password_that_is_too_long() -> None:
    with pytest.raises(ProtocolError, match="129 bytes"):
        credentials.hide(bytes(129), bytes(16), SECRET)


def test_message_authenticator_by_hand() -> None:
    """RFC 2869 §5.14: HMAC-MD5 over the packet with 16 zeros in its place; a response's over the request's authenticator."""
    said = (attribute("user-name", "nemo"),)
    data = packet.access_request(7, b"A" * 16, said, SECRET)
    blank = b"\x01\x07\x00\x2c" + b"A" * 16 + b"\x50\x12" + bytes(16) + b"\x01\x06nemo"
    assert data == blank.replace(bytes(16), hmac.digest(SECRET, blank, "md5"))
    request = packet.parse(data)
    assert packet.check_message_authenticator(request, SECRET)
    answer = packet.response(Code.ACCESS_ACCEPT, request, (), SECRET)
    blank = b"\x02\x07\x00\x26" + b"A" * 16 + b"\x50\x12" + bytes(16)
    signed = blank.replace(bytes(16), hmac.digest(SECRET, blank, "md5"))
    assert answer == signed[:4] + hashlib.md5(signed + SECRET).digest() + signed[20:]
    packet.check_response(packet.parse(answer), b"A" * 16, SECRET)


def test_a_wrong_message_authenticator_in_a_response_that_is_otherwise_right() -> None:
    """Whoever forges a response authenticator by a collision of MD5 has no HMAC for it."""
    request = packet.parse(TELNET_REQUEST)
    wrong = Attribute(80, b"\x01" * 16)
    answer = packet.parse(packet.response(Code.ACCESS_ACCEPT, request, (wrong,), SECRET, sign=False))
    with pytest.raises(ProtocolError, match="Message-Authenticator"):
        packet.check_response(answer, request.authenticator, SECRET)


def test_two_message_authenticators_of_which_one_is_right() -> None:
    blank = packet.build(1, 1, bytes(16), (Attribute(80, bytes(16)), Attribute(80, b"\x01" * 16)))
    right = hmac.digest(SECRET, blank, "md5")
    with pytest.raises(ProtocolError, match="Message-Authenticator"):
        packet.check_message_authenticator(packet.parse(blank[:22] + right + blank[38:]), SECRET)


@pytest.mark.parametrize("value", [b"", b"\x01" * 3, b"\x01" * 40])
def test_a_message_authenticator_of_a_wrong_length(value: bytes) -> None:
    data = packet.build(1, 1, bytes(16), (Attribute(80, value),))
    with pytest.raises(ProtocolError, match="Message-Authenticator"):
        packet.check_message_authenticator(packet.parse(data), SECRET)


def test_an_accounting_request_by_hand() -> None:
    """RFC 2866 §3: MD5 over the packet with an authenticator of zeros, and the secret."""
    data = packet.accounting_request(9, (attribute("acct-status-type", 1),), SECRET)
    blank = b"\x04\x09\x00\x1a" + bytes(16) + b"\x28\x06\x00\x00\x00\x01"
    assert data == blank[:4] + hashlib.md5(blank + SECRET).digest() + blank[20:]
    packet.check_accounting_request(packet.parse(data), SECRET)
    with pytest.raises(ProtocolError, match="Accounting-Request"):
        packet.check_accounting_request(packet.parse(data), b"another")


def test_a_vendors_attributes() -> None:
    """RFC 2865 §5.26: type 26 | length | vendor | vendor's type | its length | value; several may share one."""
    one = attribute("ms-chap-challenge", b"12345678")
    assert build_attributes((one,)) == bytes.fromhex("1a10 00000137 0b0a") + b"12345678"
    shared = bytes.fromhex("1a13 00000009 0106") + b"a=bc" + bytes.fromhex("0207") + b"12345"
    assert parse_attributes(shared) == (Attribute(1, b"a=bc", 9), Attribute(2, b"12345", 9))
    for odd in ("1a06 00000009", "1a08 00000009 0107", "1a09 00000009 010200", "1a04 0001", "1a08 00000000 0102"):
        data = bytes.fromhex(odd)
        assert parse_attributes(data) == (Attribute(26, data[2:]),)
        assert build_attributes(parse_attributes(data)) == data


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "code needs 1 bytes"),
        (TELNET_ACCEPT[:19], "38 that it says to have"),
        (TELNET_ACCEPT[:-1], "37 bytes, of 38"),
        (b"\x02\x00\x00\x13" + bytes(16), "a length of 19"),
        (b"\x02\x00\x10\x01" + bytes(5000), "a length of 4097"),
        (b"\x02\x00\x00\x16" + bytes(16) + b"\x01\x01", "attribute 1 has length 1"),
        (b"\x02\x00\x00\x16" + bytes(16) + b"\x01\x03", "attribute 1 needs 1 bytes"),
        (b"\x02\x00\x00\x15" + bytes(16) + b"\x01", "attribute length needs 1 bytes"),
    ],
)
def test_what_is_malformed(data: bytes, why: str) -> None:
    with pytest.raises(ProtocolError, match=why):
        packet.parse(data)


def test_what_follows_the_length_is_padding() -> None:
    assert packet.parse(TELNET_ACCEPT + b"more").data == TELNET_ACCEPT


def test_what_has_no_room() -> None:
    with pytest.raises(ProtocolError, match="do not fit one packet"):
        packet.build(1, 1, bytes(16), [Attribute(18, bytes(253))] * 16)
    with pytest.raises(ProtocolError, match="too many for cisco-avpair"):
        attribute("cisco-avpair", "x" * 248)


def test_values_of_a_wrong_size_are_not_there() -> None:
    found = Attributes((Attribute(5, b"\x00"), Attribute(8, b"12345"), Attribute(1, b"\xff")))
    assert (found.number("nas-port"), found.address("framed-ip-address"), found.text("user-name")) == (None, None, "\ufffd")


V1 = Claim("mschapv1", "User", 3, b"8 bytes.", b"L" * 24 + b"N" * 24 + b"\1")
V2 = Claim("mschapv2", "User", 4, b"sixteen bytes...", b"P" * 16 + bytes(8) + b"N" * 24 + b"\0")


def test_microsofts_responses() -> None:
    """RFC 2548 §2.1.3: identifier, flags, LM, NT; §2.3.2: identifier, flags, peer challenge, reserved, response."""
    user, challenge, answer = credentials.proof(V1, bytes(16), SECRET)
    assert (user, challenge) == (Attribute(1, b"User"), Attribute(11, b"8 bytes.", 311))
    assert answer == Attribute(1, b"\x03\x01" + b"L" * 24 + b"N" * 24, 311)
    _, challenge, answer = credentials.proof(V2, bytes(16), SECRET)
    assert challenge == Attribute(11, b"sixteen bytes...", 311)
    assert answer == Attribute(25, b"\x04\x00" + b"P" * 16 + bytes(8) + b"N" * 24, 311)


CHAP = Claim("chap-md5", "User", 9, b"a challenge of any length", b"V" * 16)
PAP = Claim("pap", "User", 0, b"", b"pass word")


@pytest.mark.parametrize("claim", [V1, V2, CHAP, PAP])
def test_a_claim_arrives_as_it_was_made(claim: Claim) -> None:
    authenticator = b"R" * 16
    data = packet.access_request(1, authenticator, credentials.proof(claim, authenticator, SECRET), SECRET)
    assert credentials.claim_of(packet.parse(data), SECRET) == claim


def test_no_secret_shows_in_a_claim() -> None:
    assert "pass word" not in repr(PAP)


@pytest.mark.parametrize(
    "said",
    [
        (),
        (attribute("user-name", "u"),),
        (attribute("user-name", "u"), attribute("user-password", b"short")),
        (attribute("user-name", "u"), attribute("user-password", b"")),
        (attribute("user-name", "u"), attribute("chap-password", b"short")),
        (attribute("user-name", "u"), attribute("ms-chap2-response", bytes(50))),
        (attribute("user-name", "u"), attribute("ms-chap2-response", bytes(50)), attribute("ms-chap-challenge", bytes(15))),
        (attribute("user-name", "u"), attribute("ms-chap-response", bytes(50)), attribute("ms-chap-challenge", bytes(9))),
        (attribute("user-name", "u"), attribute("ms-chap2-response", bytes(49)), attribute("ms-chap-challenge", b"c")),
    ],
)
def test_a_request_without_a_proof(said: tuple[Attribute, ...]) -> None:
    request = packet.parse(packet.build(1, 1, bytes(16), said))
    with pytest.raises(ProtocolError):
        credentials.claim_of(request, SECRET)


def test_what_an_accept_of_mschapv2_has_to_have() -> None:
    proof = "S=" + "A" * 40
    good = Attributes((attribute("ms-chap2-success", b"\x04" + proof.encode()), attribute("framed-ip-address", "10.0.0.9")))
    decision = credentials.granted(good, V2)
    assert (decision.good, decision.text, decision.address, decision.by) == (True, proof, "10.0.0.9", "radius")
    for bad in ((), (attribute("ms-chap2-success", b"\x05" + proof.encode()),), (attribute("ms-chap2-success", b"\x04S="),)):
        with pytest.raises(ProtocolError, match="MS-CHAP2-Success"):
            credentials.granted(Attributes(bad), V2)


@pytest.mark.parametrize(
    ("told", "error"),
    [(b"\x04E=648 R=0 C=00 V=3 M=E=1", "648"), (b"\x04E=x R=1", "691"), (b"", "691"), (b"\x04M=E=649", "691")],
)
def test_the_number_of_a_refusal(told: bytes, error: str) -> None:
    assert credentials.denied(Attributes((attribute("ms-chap-error", told),)), V2).error == error


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for form in (data, b"\x01\x01" + (20 + len(data)).to_bytes(2) + bytes(16) + data):
        try:
            read = packet.parse(form)
            assert packet.build(read.code, read.identifier, read.authenticator, read.attributes)[4:20] == form[4:20]
            packet.check_message_authenticator(read, SECRET)
            credentials.claim_of(read, SECRET)
        except ProtocolError:
            pass
