"""Sources: one file for each kind."""
