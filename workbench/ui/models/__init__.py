"""The parts of the Models tab."""
