"""Products and attention for serving on a CPU: compiled for the machine, or by PyTorch where no compiler is."""
