"""`bench doctor`: a model is loaded and asked about a few clips in several ways, and what came back is judged."""
