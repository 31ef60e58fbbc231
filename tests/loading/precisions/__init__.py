"""Tests of the precisions."""
