"""The virtual Cisco IOS router: how it is spoken to, configured, and what it shows."""
