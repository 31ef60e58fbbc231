"""The token lens: what each token was chosen from, on every tab."""
