"""The circuit and nothing else: its description, its simulation, its PennyLane twin."""
