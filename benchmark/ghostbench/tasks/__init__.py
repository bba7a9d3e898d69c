"""What is asked of a model about a clip, and how its reply is read."""
