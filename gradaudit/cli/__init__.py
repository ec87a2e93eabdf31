"""The command line: parse, ask, hand over.  One module per command; ``app`` is the entry."""
