"""Those who label clips: their labels side by side, and how far they agree."""
