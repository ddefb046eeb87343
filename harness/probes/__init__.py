"""Probes: the outsider's account. Capture on both sides of the NAT, dissect, decrypt with the run's keys, pair, identify.

Nothing here imports `wire`: an oracle that shares the codec shares its bugs. scapy lives in `dissector/`, a process of its own.
"""
