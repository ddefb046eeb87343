"""The commands of every mode, as rows."""
