"""LivePortrait (Guo et al. 2024, human model): its five networks in the key layout of the published files."""
