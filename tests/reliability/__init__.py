"""The promises, each tried, and the guards that keep them."""
