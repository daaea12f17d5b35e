"""``quinr bench paper``: rate and distortion of quINR and of all it is compared with."""
