"""What leads back to the page and out of it: addresses, saved settings, code to copy."""
