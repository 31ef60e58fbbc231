"""One promise a file, each ending in GOAL."""
