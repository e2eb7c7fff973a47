"""Speech to motion: what is heard, what the mouth, the head and the eyes do with it."""
