"""Runs of a benchmark: done, recorded, gone on with, read again."""
