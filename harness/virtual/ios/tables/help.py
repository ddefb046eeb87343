"""What "?" says of a keyword: under its own name, or under the words that lead to it where it means something else there."""

from __future__ import annotations

from collections.abc import Mapping

_TEXT = """
3des: Three key triple DES
aaa: Authentication, Authorization and Accounting
accept-dialin: VPDN accept-dialin group configuration
access-list: Add an access list entry
address: Specify an address
aes: AES - Advanced Encryption Standard
alias: Create command alias
authentication: Set authentication method
brief: Brief summary of IP status and configuration
clear: Reset functions
client-accounting-list: Client accounting list
clock: Manage the system clock
configure: Enter configuration mode
copy: Copy from one file to another
crypto: Encryption module
crypto-profile: Security by a crypto profile
debug: Debugging functions (see also 'undebug')
default: Set a command to its defaults
demux: Translate the ports of L2TP clients behind NAT
deny: Specify packets to reject
des: DES - Data Encryption Standard
description: Interface specific description
disable: Turn off privileged commands
discover: Enable discovery of remote peer
do: To run exec commands in config mode
domain: Domain name of the caller
dynamic: Entry refers to a dynamic map
dynamic-map: Specify a dynamic crypto map template
enable: Turn on privileged commands
encryption: Set encryption algorithm for protection suite
end: Exit from configure mode
erase: Erase a filesystem
ESP: IPSec-ESP
exit: Exit from the current mode
group: Set the Diffie-Hellman group
hash: Set hash algorithm for protection suite
history: Display the session command history
hostname: Set system's network name
IKE: IPSec-IKE
initiate-to: Specify the tunnel's other end
interface: Select an interface to configure
interfaces: Interface status and configuration
ip: Global IP configuration subcommands
ipsec: Configure IPSEC policy
ipsec-isakmp: IPSEC w/ISAKMP
ipsec-manual: IPSEC w/manual keying
isakmp: Configure ISAKMP policy
keep-sa: Keep the IKE phase 1 SAs when a tunnel ends
keepalive: Set a keepalive interval for use with IOS peers
key: Set pre-shared key for remote peer
keyring: Key ring commands
l2tp: Specify L2TP
l2tp-class: l2tp-class configuration
lcp: LCP configuration
length: Set number of lines on a screen
lifetime: Set lifetime
line: Configure a terminal line
local: Local host name of the tunnel
logging: Modify message logging facilities
logout: Exit from the EXEC
map: Enter a crypto map
match: Match values
mode: encapsulation mode (transport/tunnel)
monitor: Copy debug output to the current terminal line
nat: NAT configuration commands
nat-transparency: IPsec NAT transparency model
no: Negate a command or set its defaults
permit: Specify packets to forward
pmtu: Discover the path's MTU
pool: Define an address pool
ppp: Point-to-Point Protocol
preserve-port: Preserve the UDP port of IKE
privilege: Show current privilege level
profile: Entry is a template for maps made on demand
protocol: Set protocol to be tunneled
pseudowire-class: Pseudowire-class configuration
quit: Exit from the EXEC
reload: Halt and perform a cold restart
remark: Access list entry comment
request-dialin: VPDN request-dialin group configuration
route: Establish static routes
router: Enable a routing process
running-config: Current operating configuration
seconds: Time-based lifetime
security: Tunnel security
security-association: Security association parameters
service: Modify use of network based services
set: Set values for encryption/decryption
show: Show running system information
shutdown: Shutdown the selected interface
spi-match: Match inbound SPI to outbound SPI
spi-matching: Match inbound SPI to outbound SPI for IPsec aware NAT
startup-config: Contents of startup configuration
terminal: Set terminal line parameters
terminate-from: Accept tunnels of this host alone
transform-set: Specify list of transform sets in priority order
transport: transport (payload encapsulation) mode
tunnel: tunnel (datagram encapsulation) mode
udp-encaps: UDP encapsulation of IPsec protocols
username: Establish User Name Authentication
users: Display information about terminal lines
version: System hardware and software status
virtual-template: Virtual template interface
vpdn: Virtual Private Dialup Network
vpdn-group: VPDN group configuration
vrf: Specify a VPN Routing/Forwarding instance
width: Set width of the display terminal
write: Write running configuration to memory, network, or terminal
show ip: IP information
show clock: Display the system clock
configure terminal: Configure from the terminal
crypto ipsec transform-set: Define transform and settings
"""

HELP: Mapping[str, str] = dict(line.split(": ", 1) for line in _TEXT.strip().splitlines())
