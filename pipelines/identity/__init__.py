"""People: found, measured, told apart, and kept as one value built of reference photos."""
