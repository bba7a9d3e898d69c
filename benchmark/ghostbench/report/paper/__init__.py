"""What a paper takes from a run: tables as wide as a column, figures, a paragraph on methods, and references."""
