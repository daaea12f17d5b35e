"""What an archive is made with: its settings, files of them, and the encoder's share of them."""
