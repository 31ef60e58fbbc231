"""Predictions and runs as files to take away."""
