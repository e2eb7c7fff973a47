"""Fetching weights files the user has agreed to: the one place of the library that talks to the network."""
