"""Files nobody vouches for: names, reading with every size checked, writing all or nothing."""
