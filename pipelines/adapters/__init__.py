"""Identity → tokens, keys and values: one file per adapter family, one ordered tuple in `families`."""
