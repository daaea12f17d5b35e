"""From trained parameters to whole numbers: rounding, coding, and reaching a size in bytes."""
