"""Models that another server has."""
