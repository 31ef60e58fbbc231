"""Models beside each other, and blind votes on what they wrote."""
