"""What a face does over time, without anyone's identity: made, edited, kept and drawn."""
