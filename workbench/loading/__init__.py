"""From checkpoint files to a model on its devices, tensor by tensor, and back."""
