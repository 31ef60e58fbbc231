"""The parts of the Classify tab."""
