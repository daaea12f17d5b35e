"""Looking at archived scans: in a window, as screenshots and clouds, on Rerun's time line."""
