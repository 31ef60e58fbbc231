"""The commands of the command line, one a file, each ends in COMMAND."""
