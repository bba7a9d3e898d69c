"""Rendered twins: scenes by parameters, their clips and their labels."""
