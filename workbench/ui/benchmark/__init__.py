"""The parts of the Benchmark tab."""
