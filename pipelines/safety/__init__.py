"""Consent and provenance: what was done to whose face by what, written into files; and people nobody may touch."""
