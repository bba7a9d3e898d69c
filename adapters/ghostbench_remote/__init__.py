"""What adapters of models behind an API share: sending, pacing, reading failures, prices, keeping secrets."""
