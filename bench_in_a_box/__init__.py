"""A bench in a box: NAT, gateway and end host as boxes that the harness did not start and knows only by their SSH addresses.

    python -m bench_in_a_box [--gateway natstorm|linux|ios | --routers lac-lns] -- COMMAND …

The command runs on the box's "host", which has two interfaces: `mgmt0`, by which the devices' SSH servers are reached, and `nic0`,
which leads to the NAT's inside. It is to the harness what a machine beside real routers is: `natstorm qualify --testbed
testbeds/bench-in-a-box.yaml` takes `nic0` for its clients, configures the devices over SSH and puts all back.
"""
