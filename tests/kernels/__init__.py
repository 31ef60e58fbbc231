"""Tests of the kernels: right, and each row for itself."""
