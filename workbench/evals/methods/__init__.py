"""Ways of asking: an example becomes requests, their answers a prediction."""
