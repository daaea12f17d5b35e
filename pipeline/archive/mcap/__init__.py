"""MCAP files as archives write them."""
