"""From a finished run's ledger to its numbers: counts, rates with intervals, scores, event times, slices."""
