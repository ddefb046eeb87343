"""Traffic control as tc shows it, and in the words in which it takes it. The texts are of iproute2 6.1 on Linux 6.1 and 6.18."""

from __future__ import annotations

from harness.lab import traffic

DEFAULTS = """\
qdisc mq 0: root
qdisc fq_codel 0: parent :2 limit 10240p flows 1024 quantum 1514 target 5ms interval 100ms memory_limit 32Mb ecn drop_batch 64
qdisc fq_codel 0: parent :1 limit 10240p flows 1024 quantum 1514 target 5ms interval 100ms memory_limit 32Mb ecn drop_batch 64
"""
TUNED = """\
qdisc fq 8001: root refcnt 3 limit 10000p flow_limit 100p buckets 1024 orphan_mask 1023 quantum 3028b initial_quantum 15140b
qdisc ingress ffff: parent ffff:fff1 ----------------
"""
SHAPED = "qdisc tbf 5: root refcnt 3 rate 1Mbit burst 10Kb/1 mpu 0b lat 50ms linklayer ethernet\n"
MQ_CLASSES = "class mq :1 root\nclass mq :2 root\n"
HTB_CLASSES = "class htb 5:10 root prio 0 rate 1Mbit ceil 1Mbit burst 1600b cburst 1600b\nclass htb 5:20 root prio 0 rate 1Mbit\n"
FILTERS = """\
filter protocol ip pref 5 u32 chain 0
filter protocol ip pref 5 u32 chain 0 fh 800: ht divisor 1
filter protocol all pref 49152 bpf chain 0
filter protocol all pref 49152 bpf chain 0 handle 0x1 x.o:[cls] direct-action not_in_hw id 7
"""


def test_what_the_kernel_puts_there_by_itself_is_nothing_to_keep():
    assert traffic.shown(DEFAULTS) == []
    assert list(traffic.in_the_way([], MQ_CLASSES, "")) == []


def test_what_somebody_set_up_is_said_in_tcs_own_words():
    tuned, ingress = traffic.shown(TUNED)
    assert " ".join(traffic.given(tuned)) == (
        "root handle 8001: fq limit 10000 flow_limit 100 buckets 1024 orphan_mask 1023 quantum 3028b initial_quantum 15140b"
    )
    assert traffic.given(ingress) == ("ingress",)
    (shaped,) = traffic.shown(SHAPED)
    assert " ".join(traffic.given(shaped)) == "root handle 5: tbf rate 1Mbit burst 10Kb latency 50ms linklayer ethernet"


def test_classes_filters_and_disciplines_of_classes_stand_in_the_way():
    assert list(traffic.in_the_way([], HTB_CLASSES, "")) == ["2 traffic classes (htb)"]
    assert list(traffic.in_the_way([], "", FILTERS)) == ["filters (u32, bpf)"]
    rows = traffic.shown("qdisc pfifo 10: parent 5:10 limit 7p\nqdisc clsact ffff: parent ffff:fff1\n")
    assert list(traffic.in_the_way(rows, "", "")) == ["the queueing discipline pfifo 10:"]
