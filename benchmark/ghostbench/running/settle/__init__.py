"""Attempt after attempt until a question is settled, each written down, within the budget."""
