#!/bin/sh
# The translator's fixed part: an interface whose egress rewrites ports and sends the packet back in. What no client's filter matches
# ends there, so a packet that beats the updown script is lost and never passes untranslated.
set -e
ip -batch - <<BATCH
link add demux0 type dummy
link set demux0 up mtu 1500
link add l2tp0 type dummy
link set l2tp0 up mtu 1500 arp off
rule add pref 11 fwmark 0x20000/0x20000 lookup 100
route add default dev demux0 table 100
BATCH
for setting in accept_local=1 rp_filter=0 send_redirects=0; do
    echo "${setting#*=}" > "/proc/sys/net/ipv4/conf/demux0/${setting%=*}"
done
echo 0 > /proc/sys/net/ipv4/conf/all/send_redirects
tc qdisc add dev demux0 clsact
# l2tp0 is for captures: a copy of what the L2TP server sends before its port is translated, and of what it receives afterwards.
tc filter add dev demux0 egress protocol ip pref 5 handle 0x20000 fw action mirred egress mirror dev l2tp0 continue
