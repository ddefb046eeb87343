"""What one pytest session of suites plays, on what: the plugin and `natstorm qualify` see it as a Session of stages."""
