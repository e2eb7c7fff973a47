"""Make small or worn faces crisp: one file per restorer, one ordered tuple."""
