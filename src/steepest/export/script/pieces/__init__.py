"""What scripts are put together from: functions and classes that are copied as they stand here.

A script has those that it uses. What they need beside each other and torch, numpy and the standard
library is a constant of the script, which `constants.py` stands in for.
"""
