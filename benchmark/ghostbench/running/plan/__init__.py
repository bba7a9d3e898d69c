"""Before anything runs: the options, the models and clips they name, and what can be checked of them."""
