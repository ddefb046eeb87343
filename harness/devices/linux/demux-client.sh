#!/bin/sh
# strongSwan calls this when a client's SA comes and goes. The SA's unique mark k stands for the client; its L2TP server port is
# @{first_port} + k - 1. Inbound: mark 0x10000|k, source port becomes the client's. Outbound: that port becomes 1701, mark k finds the SA.
k=$((${PLUTO_MARK_IN%%/*}))
port=$((@{first_port} + (k - 1) % 64000))
inbound=$((0x10000 | k))
case $PLUTO_VERB in
up-*)
    tc -batch - <<BATCH
filter replace dev demux0 egress protocol ip pref 10 handle $inbound fw action pedit ex munge udp sport set $port pipe action csum ip4h udp pipe action mirred egress mirror dev l2tp0 pipe action skbedit mark 0 ptype host pipe action mirred ingress redirect dev demux0
filter replace dev demux0 egress protocol ip pref 20 handle $k flower ip_proto udp dst_ip $PLUTO_PEER src_port 1701 dst_port $port action pedit ex munge udp dport set 1701 pipe action csum ip4h udp pipe action skbedit mark $k ptype host pipe action mirred ingress redirect dev demux0
BATCH
    ;;
down-*)
    tc -batch - <<BATCH
filter del dev demux0 egress protocol ip pref 10 handle $inbound fw
filter del dev demux0 egress protocol ip pref 20 handle $k flower
BATCH
    ;;
esac
status=$?
read -r uptime rest < /proc/uptime
echo "$uptime $PLUTO_VERB peer=$PLUTO_PEER udp=${PLUTO_UDP_ENC:-none} mark=$k reqid=$PLUTO_REQID port=$port status=$status" >> @{logs}/demux.log
