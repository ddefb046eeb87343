"""Speeds of the traffic generator, each as a ratio to something measured in the same run, lest a slow machine mislead."""
