"""Tests of loading: from checkpoint files to a model and back."""
