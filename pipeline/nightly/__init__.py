"""Nightly runs: inbox, verification, retention, report."""
