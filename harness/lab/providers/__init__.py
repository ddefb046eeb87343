"""Laboratories that somebody else runs: one interface, a module a kind."""
