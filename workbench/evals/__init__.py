"""Asking a model about examples, judging its answers, measuring and keeping them; no torch in here."""
