"""The dissector: frames in, observations out, in a process of its own (`python -m harness.probes.dissector`).

scapy is imported here and nowhere else in the harness. Nothing is imported by this file, so that naming the package is free.
"""
