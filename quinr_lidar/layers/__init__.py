"""Layers of a file, decodable one after another."""
