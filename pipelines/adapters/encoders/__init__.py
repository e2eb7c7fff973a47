"""Vision and text towers whose features adapters read."""
