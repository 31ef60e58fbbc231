"""The one place where a forward pass is made for serving; it knows tokens, never text."""
