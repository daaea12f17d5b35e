"""``quinr bench rate``: bits for a guaranteed maximum error, quINR's and those of all its peers."""
