"""The proof that every test can fail: each mechanism broken in turn, prediction against result (docs/proof.md)."""
