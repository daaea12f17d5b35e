"""Architecture search: which field gives the best picture in so many bytes."""
