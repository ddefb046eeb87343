"""Speeds of the traffic generator, each as a ratio to something measured in the same run, so that a slow machine does not mislead."""
