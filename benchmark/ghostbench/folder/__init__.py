"""The run folder: the only code that knows its files, one module a file, written and read here."""
