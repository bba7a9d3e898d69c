"""From a run's numbers to what people read: terminal, Markdown, CSV, LaTeX and HTML."""
