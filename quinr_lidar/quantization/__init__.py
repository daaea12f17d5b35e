"""Parameters to whole numbers: rounding, grids, sizes in bytes, training in between."""
