"""`python -m steepest` is `steepest`."""

from steepest.cli import main

main()
