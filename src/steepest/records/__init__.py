"""What the files of runs and sweeps hold, for who writes them and who only reads; without torch."""
