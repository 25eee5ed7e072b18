"""fuzz.py is a script that imports its neighbour: it is run, not collected for doctests."""

collect_ignore = ["fuzz.py"]
