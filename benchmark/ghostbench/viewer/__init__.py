"""A local page over a folder of runs: a server that reads, and writes nothing."""
