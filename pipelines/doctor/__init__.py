"""What an installation can do, what it lacks, and what is in its way."""
