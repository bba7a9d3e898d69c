"""Checkpoints on this machine: found or fetched, pinned, and told apart by their files' digests."""
