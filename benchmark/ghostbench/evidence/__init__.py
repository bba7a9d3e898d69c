"""What runs prove against each other, against themselves and against a reference: compare, verify, regress."""
