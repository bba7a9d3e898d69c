"""Going on with a run, and looking at one that is not finished."""
