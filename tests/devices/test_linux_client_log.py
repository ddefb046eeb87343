"""What strongSwan 5.9.8, xl2tpd 1.3.18, pppd 2.4.9 and `ip xfrm monitor` said in a guest, read as facts."""

import pytest

from harness.devices.linux_client_log import (
    AddressGiven,
    CallEstablished,
    ClientLog,
    Down,
    EspDeleted,
    EspEstablished,
    IkeDeleted,
    IkeEstablished,
    LcpOpened,
    LoggedIn,
    TunnelEstablished,
)

CHARON = """\
08[IKE] <l2tp|1> initiating Main Mode IKE_SA l2tp[1] to 203.0.113.231
08[NET] <l2tp|1> sending packet: from 10.0.0.4[500] to 203.0.113.231[500] (180 bytes)
10[CFG] <l2tp|1> selected proposal: IKE:AES_CBC_128/HMAC_SHA1_96/PRF_HMAC_SHA1/MODP_2048
13[IKE] <l2tp|1> encryption key Ka => 16 bytes @ 0x580060f0
13[IKE] <l2tp|1>    0: 1F E5 F9 19 FF C5 15 40 14 D7 FA C3 84 F5 77 ED  .......@......w.
13[IKE] <l2tp|1> initial IV => 16 bytes @ 0x580060f0
13[IKE] <l2tp|1>    0: B6 4B 5E BF 44 96 82 9C 2D 7A 01 4F 99 F9 D7 41  .K^.D...-z.O...A
13[IKE] <l2tp|1> natd_chunk => 22 bytes @ 0x42493a80
13[IKE] <l2tp|1>    0: C8 8B 85 78 2C C3 4C C4 C3 AC 39 B0 F1 C6 1F EB  ...x,.L...9.....
13[IKE] <l2tp|1>   16: CB 00 71 E7 01 F4                                AB CD
13[IKE] <l2tp|1> local host is behind NAT, sending keep alives
12[IKE] <l2tp|1> IKE_SA l2tp[1] established between 10.0.0.4[10.0.0.4]...203.0.113.231[203.0.113.231]
05[CFG] <l2tp|1> selected proposal: ESP:AES_CBC_128/HMAC_SHA1_96/NO_EXT_SEQ
05[IKE] <l2tp|1> CHILD_SA l2tp{1} established with SPIs c2ea327b_i e3a21df8_o and TS 10.0.0.4/32[udp/l2f] === 203.0.113.231/32
"""
KERNEL = """\
Updated src 203.0.113.231 dst 10.0.0.4
\tproto esp spi 0xc2ea327b reqid 1 mode transport
\treplay-window 32 
\tauth-trunc hmac(sha1) 0x736c5af2e6b8f44a2729ff5020f3b48e6a534b52 96
\tenc cbc(aes) 0xd42e7830c2167c6dbb2a78fb2fc7018c
\tencap type espinudp sport 4500 dport 4500 addr 0.0.0.0
src 10.0.0.4 dst 203.0.113.231
\tproto esp spi 0xe3a21df8 reqid 1 mode transport
\treplay-window 0 
\tauth-trunc hmac(sha1) 0xa9626a4184acde4fadff2f15c6710c4c33a51385 96
\tenc cbc(aes) 0x963fcdf3e589b941fb071025f8e2401f
"""  # noqa: W291
L2TP = """\
xl2tpd[739]: control_finish: sending SCCRQ
xl2tpd[739]: Connection established to 203.0.113.231, 1701.  Local: 15792, Remote: 50048 (ref=0/0).
xl2tpd[739]: Call established with 203.0.113.231, Local: 32246, Remote: 6334, Serial: 1 (ref=0/0)
sent [LCP ConfReq id=0x1 <mru 1280> <asyncmap 0x0> <magic 0x595c7fe>]
rcvd [LCP ConfAck id=0x1 <mru 1280> <asyncmap 0x0> <magic 0x595c7fe>]
rcvd [LCP ConfReq id=0x1 <auth chap MS-v2> <mru 1400> <magic 0x655895b8> <pcomp> <accomp>]
sent [LCP ConfAck id=0x1 <auth chap MS-v2> <mru 1400> <magic 0x655895b8> <pcomp> <accomp>]
rcvd [CHAP Success id=0x61 "S=105609F8 M=Access granted"]
CHAP authentication succeeded
rcvd [IPCP ConfAck id=0x3 <addr 172.16.0.10> <ms-dns1 172.16.0.1>]
local  IP address 172.16.0.10
remote IP address 172.16.0.1
"""
INBOUND, OUTBOUND = 0xC2EA327B, 0xE3A21DF8


def told(read, text):
    return [fact for line in text.splitlines() for fact in read(line)]


@pytest.fixture
def log():
    return ClientLog()


def test_main_mode_is_told_with_its_cookies_and_keys(log):
    ike, *rest = told(log.charon, CHARON)
    assert ike == IkeEstablished(
        bytes.fromhex("c88b85782cc34cc4"), bytes.fromhex("c3ac39b0f1c61feb"), "aes-128", "sha1", "modp2048", True, False,
        bytes.fromhex("1fe5f919ffc5154014d7fac384f577ed"), bytes.fromhex("b64b5ebf4496829c2d7a014f99f9d741"),
    )  # fmt: skip
    assert rest == []  # the ESP SA's keys are the kernel's to tell


@pytest.mark.parametrize("first", ["charon", "kernel"])
def test_an_esp_sa_is_told_once_daemon_and_kernel_have_both_spoken(log, first):
    sources = [("charon", CHARON), ("kernel", KERNEL)]
    facts = [fact for name, text in sorted(sources, key=lambda s: s[0] != first) for fact in told(getattr(log, name), text)]
    (esp,) = [fact for fact in facts if isinstance(fact, EspEstablished)]
    assert (esp.spi_in, esp.spi_out, esp.encapsulation) == (INBOUND, OUTBOUND, "udp-transport")
    assert (esp.encryption, esp.authentication) == ("aes-128", "sha1")
    assert esp.key_in.hex() == "d42e7830c2167c6dbb2a78fb2fc7018c"
    assert esp.auth_key_out.hex() == "a9626a4184acde4fadff2f15c6710c4c33a51385"


def test_keys_do_not_print_themselves(log):
    facts = told(log.charon, CHARON) + told(log.kernel, KERNEL)
    assert "key=" not in repr(facts)
    assert "iv=" not in repr(facts)


def test_a_main_mode_that_the_gateway_begins_is_told_by_its_own_number(log):
    told(log.charon, CHARON)
    again = CHARON.replace("<l2tp|1>", "<3>").replace("l2tp[1]", "l2tp[3]").replace("C8 8B", "07 B5")
    facts = told(log.charon, "\n".join(line for line in again.splitlines() if "CHILD_SA" not in line))
    assert [fact.icookie[:2] for fact in facts] == [b"\x07\xb5"]


def test_deletes_of_the_gateway(log):
    told(log.charon, CHARON)
    deletes = ("ESP CHILD_SA with SPI e3a21df8", "IKE_SA l2tp[1]")
    text = "\n".join(f"05[IKE] <l2tp|1> received DELETE for {which}" for which in deletes)
    cookies = bytes.fromhex("c88b85782cc34cc4"), bytes.fromhex("c3ac39b0f1c61feb")
    assert told(log.charon, text) == [EspDeleted(OUTBOUND), IkeDeleted(*cookies)]


def test_l2tp_and_ppp_come_up(log):
    assert told(log.l2tp, L2TP) == [
        TunnelEstablished(15792, 50048),
        CallEstablished(32246, 6334),
        LcpOpened(1400, "mschapv2"),
        LoggedIn("mschapv2", "S=105609F8 M=Access granted"),
        AddressGiven("172.16.0.10", "172.16.0.1", ("172.16.0.1",)),
    ]


def test_a_resolver_that_was_refused_is_none(log):
    facts = told(log.l2tp, L2TP.replace(" <ms-dns1 172.16.0.1>", ""))
    assert facts[-1] == AddressGiven("172.16.0.10", "172.16.0.1", ())


@pytest.mark.parametrize(
    ("lines", "facts"),
    [
        ("xl2tpd[739]: Connection 50048 closed to 203.0.113.231, port 1701 (Goodbye!)", [Down("tunnel", False, 0, "Goodbye!")]),
        (
            "xl2tpd[739]: control_finish: Connection closed to 203.0.113.231, port 1701 (Bye), Local: 15792, Remote: 50048",
            [Down("tunnel", True, 0, "Bye")],
        ),
        ("xl2tpd[739]: control_finish: Connection closed to 203.0.113.231, serial 1 (Bye)", [Down("call", True, 0, "Bye")]),
        (
            "xl2tpd[739]: Maximum retries exceeded for tunnel 15792.  Closing.",
            [Down("tunnel", False, 0, "the gateway no longer acknowledges")],
        ),
        (
            "No response to 4 echo-requests\nxl2tpd[739]: call_close: Call 32246 to 203.0.113.231 disconnected",
            [Down("ppp", False, 0, "No response to 4 echo-requests"), Down("call", False, 0, "the link ended")],
        ),
        (
            "LCP terminated by peer (Bye)\nxl2tpd[739]: call_close: Call 32246 to 203.0.113.231 disconnected",
            [Down("ppp", True, 0, "LCP terminated by peer (Bye)"), Down("call", True, 0, "the link ended")],
        ),
    ],
)
def test_who_took_it_down(log, lines, facts):
    told(log.l2tp, L2TP)
    assert told(log.l2tp, lines) == facts


def test_chatter_and_torn_lines_are_no_facts(log):
    for read in (log.charon, log.kernel, log.l2tp):
        assert told(read, "\n13[IKE] <l2tp|1>    0: 1F E5\n   \nxl2tpd[7]: Listening\n\tenc cbc(aes) 0x00\nsent [LCP ConfAck") == []
