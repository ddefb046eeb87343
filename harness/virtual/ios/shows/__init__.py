"""State as values → the lines that IOS prints. Pure, one module a family of commands."""
