"""One attempt: a clip's frames lent, a request on its way to a model, and what comes back."""
