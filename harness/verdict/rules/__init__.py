"""The rules by which a box is blamed: what each must not do, and what proves that it did. `table` lists them."""
