"""DICE-Talk: a talking head with an emotion of its own, by tokens beside the sound's in every cross-attention."""
