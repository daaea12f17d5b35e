"""Libraries that need more than an import statement."""
