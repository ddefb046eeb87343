"""The virtual IOS router: its command line (`session`), its configuration, and the servers by which it is reached."""
