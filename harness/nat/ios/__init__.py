"""What a Cisco IOS router's NAT does beyond RFC 4787: ESP keyed by SPI, port 500 kept, TCP with FTP and SCCP, entries as shown.

Sources: NAT Support for IPsec ESP, phase II (ESN rows); Cisco's IOS NAT documentation for timers and port groups.
"""
