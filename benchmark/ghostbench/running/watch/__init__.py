"""What stands beside a run: progress, silence, signals, and the process that watches over it."""
