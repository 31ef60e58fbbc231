"""Twins of the published classes for JAX and TensorFlow; optional, and nothing else imports them."""
