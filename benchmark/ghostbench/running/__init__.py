"""A run, from a command's options to a finished folder: plan, ask, settle, and go on after a kill."""
