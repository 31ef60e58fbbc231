"""The precisions a model can be held in, one a file; each file ends in PRECISION."""
