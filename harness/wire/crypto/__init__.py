"""Cryptographic primitives as rows of tables: Diffie-Hellman groups, block ciphers, hashes and integrity checks."""
