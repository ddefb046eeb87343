"""The plugin is loaded from the root, so that `pytest suites` and `pytest tests` see the same options."""

pytest_plugins = ["harness.plugin"]
