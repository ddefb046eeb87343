"""The modes below global configuration: their prompts, and their commands in the order in which the running configuration has
them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.virtual.ios.grammar import Row
from harness.virtual.ios.tables import top


@dataclass(frozen=True, slots=True)
class Mode:
    """`prompt` stands between the host's name and "#"."""

    prompt: str
    rows: tuple[Row, ...]


_PPP = "{chap | ms-chap | ms-chap-v2 | pap | eap}"

MODES: Mapping[str, Mode] = {
    "config": Mode("(config)", tuple(row for row in top.ROWS if row is not None)),
    "interface": Mode("(config-if)", (
        Row("description LINE"),
        Row("bandwidth <1-10000000>:kilobits"),
        Row("ip vrf forwarding WORD:vrf"),
        Row("ip address A.B.C.D:address MASK:mask", place="ip address"),
        Row("ip address A.B.C.D:address MASK:mask secondary", key="*", place="ip address"),
        Row("ip address {negotiated | dhcp}", place="ip address"),
        Row("ip unnumbered IFNAME:interface"),
        Row("ip access-group WORD:list {in | out}", key="*"),
        Row("ip redirects", kind="switch"),
        Row("ip unreachables", kind="switch"),
        Row("ip proxy-arp", kind="switch"),
        Row("ip mtu <68-1000000>:bytes"),
        Row("ip nat inside"),
        Row("ip nat outside"),
        Row("ip virtual-reassembly"),
        Row("ip tcp adjust-mss <500-1460>:bytes"),
        Row("ip route-cache", kind="switch"),
        Row("ip mroute-cache", kind="switch"),
        Row("ip ospf network {broadcast | non-broadcast | point-to-point | point-to-multipoint}"),
        Row("ip ospf cost <1-65535>:cost"),
        Row("ip policy route-map WORD:map"),
        Row("encapsulation {ppp | hdlc | frame-relay}"),
        Row("encapsulation dot1Q <1-4094>:vlan [native]"),
        Row("mtu <64-18000>:bytes"),
        Row("load-interval <30-600>:seconds"),
        Row("keepalive [<0-32767>:seconds]", kind="switch"),
        Row("shutdown"),
        Row("duplex {auto | full | half}"),
        Row("speed {10 | 100 | 1000 | auto}"),
        Row("half-duplex"),
        Row("full-duplex"),
        Row("clock rate <300-8064000>:bits"),
        Row("clockrate <300-8064000>:bits"),
        Row("dialer pool-member <1-255>:pool"),
        Row("peer default ip address pool WORD:pool"),
        Row("peer default ip address A.B.C.D:address"),
        Row("cdp enable", kind="switch"),
        Row("ppp mtu adaptive"),
        Row("ppp mru match"),
        Row("ppp encrypt mppe {auto | 40 | 128} [required | passive]"),
        Row(f"ppp authentication {_PPP} [{_PPP} [{_PPP}]] [callin] [WORD:list]"),
        Row("ppp accounting WORD:list"),
        Row("ppp chap hostname WORD"),
        Row("ppp chap password LINE"),
        Row("ppp pap sent-username WORD:name password LINE:password"),
        Row("ppp ipcp dns A.B.C.D:first [A.B.C.D:second]"),
        Row("ppp timeout retry <1-255>:seconds"),
        Row("tunnel source {A.B.C.D:address | IFNAME:interface}"),
        Row("tunnel destination A.B.C.D:address"),
        Row("xconnect A.B.C.D:peer <1-4294967295>:vc {encapsulation {mpls | l2tpv2 | l2tpv3} [pw-class WORD:class] "
            "| pw-class WORD:class}"),
        Row("crypto map WORD:name"),
        Row("crypto ipsec df-bit {clear | copy | set}"),
    )),
    "crypto-map": Mode("(config-crypto-map)", (
        Row("description LINE"),
        Row("set peer {A.B.C.D:peer | WORD:peer} [default]", key="*"),
        Row("set session-key inbound esp <256-4294967295>:spi cipher HEX:cipher [authenticator HEX:authenticator]"),
        Row("set session-key outbound esp <256-4294967295>:spi cipher HEX:cipher [authenticator HEX:authenticator]"),
        Row("set session-key inbound ah <256-4294967295>:spi HEX:key"),
        Row("set session-key outbound ah <256-4294967295>:spi HEX:key"),
        Row("set security-association lifetime kilobytes <2560-536870912>:kilobytes"),
        Row("set security-association lifetime seconds <120-86400>:seconds"),
        Row("set security-association idle-time <60-86400>:seconds"),
        Row("set security-association level per-host"),
        Row("set nat demux", gate="nat-demux"),
        Row("set transform-set WORD:names...6"),
        Row("set pfs {group1 | group2 | group5}"),
        Row("set isakmp-profile WORD:profile"),
        Row("match address WORD:list"),
        Row("reverse-route"),
    )),
    "isakmp-policy": Mode("(config-isakmp)", (
        Row("encryption {3des | aes [128 | 192 | 256] | des}", shown="encr", default="des"),
        Row("hash {md5 | sha | sha256}", default="sha"),
        Row("authentication {pre-share | rsa-encr | rsa-sig}", default="rsa-sig"),
        Row("group {1 | 2 | 5 | 14 | 19 | 20}", default="1"),
        Row("lifetime <60-86400>:seconds", default="86400"),
    )),
    "transform-set": Mode("(cfg-crypto-trans)", (
        Row("mode {transport | tunnel} [require]", default="tunnel"),
    )),
    "keyring": Mode("(conf-keyring)", (
        Row("description LINE"),
        Row("pre-shared-key address A.B.C.D:address [MASK:mask] key LINE:secret", key="address {address}"),
        Row("pre-shared-key hostname WORD:host key LINE:secret", key="hostname {host}"),
    )),
    "vpdn-group": Mode("(config-vpdn)", (
        Row("description LINE"),
        Row("accept-dialin", enters="accept-dialin"),
        Row("request-dialin", enters="request-dialin"),
        Row("terminate-from hostname WORD:host"),
        Row("initiate-to ip A.B.C.D:address [limit <0-65535>:limit] [priority <1-65535>:priority]", key="{address}"),
        Row("session-limit <1-32767>:sessions"),
        Row("local name WORD"),
        Row("source-ip A.B.C.D"),
        Row("lcp renegotiation {always | on-mismatch}"),
        Row("force-local-chap"),
        Row("l2tp security crypto-profile WORD:profile [keep-sa]", gate="l2tp-security"),
        Row("l2tp tunnel authentication", kind="switch"),
        Row("l2tp tunnel password LINE:password"),
        Row("l2tp tunnel hello <0-1000>:seconds"),
        Row("l2tp tunnel receive-window <1-20000>:packets"),
        Row("l2tp tunnel retransmit retries <5-1000>:tries"),
        Row("l2tp tunnel retransmit timeout max <1-8>:seconds"),
        Row("l2tp tunnel retransmit timeout min <1-8>:seconds"),
        Row("l2tp tunnel timeout setup <60-6000>:seconds"),
        Row("l2tp tunnel timeout no-session {<0-86400>:seconds | never}"),
        Row("l2tp ip udp checksum"),
        Row("ip tos reflect"),
        Row("ip dfbit set"),  # L2TP Security names it among its commands, and the mode of a pseudowire class alone elsewhere
        Row("ip pmtu", gate="ip-pmtu"),
    )),
    "accept-dialin": Mode("(config-vpdn-acc-in)", (
        Row("protocol {any | l2f | l2tp | pptp}"),
        Row("virtual-template <1-200>:template"),
    )),
    "request-dialin": Mode("(config-vpdn-req-in)", (
        Row("protocol {any | l2f | l2tp | pptp}"),
        Row("domain WORD", key="*"),
        Row("dnis WORD", key="*"),
        Row("pool-member <1-255>:pool"),
    )),
    "pseudowire-class": Mode("(config-pw)", (
        Row("encapsulation {l2tpv2 | l2tpv3}"),
        Row("protocol {l2tpv2 | l2tpv3 | none} [WORD:class]"),
        Row("ip local interface IFNAME:interface"),
        Row("ip pmtu", gate="ip-pmtu"),
        Row("ip dfbit set"),
        Row("ip tos reflect"),
        Row("sequencing {both | receive | transmit}"),
    )),
    "l2tp-class": Mode("(config-l2tp-class)", (
        Row("authentication"),
        Row("hostname WORD"),
        Row("password LINE"),
        Row("hello <0-1000>:seconds"),
        Row("receive-window <1-16384>:packets"),
        Row("retransmit retries <5-1000>:tries"),
        Row("retransmit timeout max <1-8>:seconds"),
        Row("retransmit timeout min <1-8>:seconds"),
        Row("timeout setup <60-6000>:seconds"),
    )),
    "extended-list": Mode("(config-ext-nacl)", (
        Row("remark LINE", key="*", place="list"),
        Row(top.EXTENDED, key="*", place="list"),
    )),
    "standard-list": Mode("(config-std-nacl)", (
        Row("remark LINE", key="*", place="list"),
        Row(top.STANDARD, key="*", place="list"),
    )),
    "line": Mode("(config-line)", (
        Row("access-class WORD:list {in | out}", key="*"),
        Row("exec-timeout <0-35791>:minutes [<0-2147483>:seconds]"),
        Row("privilege level <0-15>:level"),
        Row("password LINE"),
        Row("logging synchronous"),
        Row("login [local | authentication WORD:list]", kind="both"),
        Row("length <0-512>:lines"),
        Row("width <0-512>:columns"),
        Row("history size <0-256>:lines"),
        Row("transport preferred {none | ssh | telnet}"),
        Row("transport input {all | none | ssh [telnet] | telnet [ssh]}"),
        Row("stopbits {1 | 1.5 | 2}"),
    )),
    "router": Mode("(config-router)", (
        Row("router-id A.B.C.D"),
        Row("log-adjacency-changes [detail]"),
        Row("version {1 | 2}"),
        Row("redistribute {connected | static} [metric <0-16777214>:metric] [subnets]"),
        Row("passive-interface {default | IFNAME:interface}", key="*"),
        Row("network A.B.C.D:network WILD:wildcard area {<0-4294967295>:area | A.B.C.D:area}", key="*", place="network"),
        Row("network A.B.C.D:network", key="*", place="network"),
        Row("default-information originate [always]"),
        Row("auto-summary", kind="switch"),
    )),
    "radius-group": Mode("(config-sg-radius)", (
        Row("server A.B.C.D:host [auth-port <0-65535>:auth] [acct-port <0-65535>:acct]", key="{host}"),
        Row("ip radius source-interface IFNAME:interface"),
        Row("deadtime <1-1440>:minutes"),
    )),
    "dhcp-pool": Mode("(dhcp-config)", (
        Row("network A.B.C.D:network [MASK:mask]"),
        Row("default-router A.B.C.D:routers...8"),
        Row("dns-server A.B.C.D:servers...8"),
        Row("domain-name WORD"),
        Row("lease {<0-365>:days [<0-23>:hours [<0-59>:minutes]] | infinite}"),
    )),
    "vrf": Mode("(config-vrf)", (
        Row("description LINE"),
        Row("rd WORD"),
        Row("route-target {import | export | both} WORD:target", key="*"),
    )),
}  # fmt: skip
