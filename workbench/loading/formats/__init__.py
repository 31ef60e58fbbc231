"""The checkpoint formats, one a file; each file ends in FORMAT."""
