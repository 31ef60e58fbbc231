"""Drawings in SVG, in the colours of the page."""
