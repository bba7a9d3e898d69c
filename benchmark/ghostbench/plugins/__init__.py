"""How the harness finds models, datasets, tasks and report sections that live elsewhere."""
