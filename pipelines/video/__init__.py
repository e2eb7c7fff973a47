"""Faces over time and videos of any length: tracks, steady landmarks, streaming with sound and resume."""
