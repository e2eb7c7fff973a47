"""Where identity enters a diffusion model, as data."""
