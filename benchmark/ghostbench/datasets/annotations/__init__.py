"""What others have said of clips: annotation files read, and each row joined with the clip that it is of."""
