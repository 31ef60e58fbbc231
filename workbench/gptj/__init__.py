"""The network: GPT-J in plain PyTorch, under the published class and parameter names."""
