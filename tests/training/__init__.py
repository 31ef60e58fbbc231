"""Tests of training: from rows and books to trained weights."""
