"""What stands between the network and the page: which requests pass, how many, how large, and with which headers."""
