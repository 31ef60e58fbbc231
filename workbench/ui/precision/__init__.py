"""The parts of the Precision tab."""
