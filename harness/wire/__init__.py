"""Sans-IO protocol cores: bytes and `now` in; bytes, events and one deadline out.

No sockets, clocks, randomness or model types in here: time comes as a float in seconds (any monotonic clock), entropy as a
callable, configuration as the dataclasses of `wire.config`.
"""
