"""The checkpoint: found or fetched, accounted for, its configuration checked, its weights read."""
