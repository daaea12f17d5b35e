"""Looking at archived scans: in a window, as pictures and clouds, on Rerun's time line."""
