"""The frames that a report shows: which ones, their range images and their clouds."""
