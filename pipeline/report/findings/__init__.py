"""What is known of an archive: its files, an evaluation of it, and what both amount to."""
