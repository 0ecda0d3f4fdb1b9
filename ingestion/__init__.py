"""From the outside to the raw tables: find files, read them strictly, and load each record exactly once."""
