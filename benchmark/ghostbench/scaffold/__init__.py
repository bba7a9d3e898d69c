"""Templates of the package that `bench new-adapter` writes."""
