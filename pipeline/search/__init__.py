"""Architecture search: which field gives the best image in a given number of bytes."""
