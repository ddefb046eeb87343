"""What IOS prints, read: one module for each family of commands, each a pure function from text to `Rows`."""
