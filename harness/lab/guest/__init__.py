"""What runs inside a guest, started by path from `harness.lab.uml`: PID 1 (`init.py`) and its commander (`commander.py`).

Standard library only, and as little of that as possible: an import costs ten times as much in the guest as on the host.
"""
