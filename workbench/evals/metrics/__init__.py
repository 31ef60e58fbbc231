"""Figures computed from predictions, in numpy."""
