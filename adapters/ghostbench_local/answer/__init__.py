"""What an answer may be: the schema's grammar while it is decoded, and the grades' probabilities."""
