"""The parts of the Answer tab."""
