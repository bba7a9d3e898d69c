"""What models computed on this machine have in common, whichever adapter computes them. It registers no model.

`answer`: the schema's grammar and the grades' probabilities. `checkpoint`: files of weights, where they came from and
their digests. `memory`: what a batch takes of a device. Nothing heavy is imported before a module that needs it.
"""
