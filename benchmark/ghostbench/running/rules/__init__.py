"""What is decided by rule alone: what follows a failure, what a reply must keep to, what a ledger comes to."""
