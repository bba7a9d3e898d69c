"""Where a local model lives: in a thread of the run's own process, or in worker processes of its own."""
