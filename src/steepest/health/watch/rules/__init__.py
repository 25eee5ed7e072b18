"""The rules of watch. A module registers its own when it is imported, so all are imported here.

Those of check come first: some of them are looked for during a training, too. What is said of
thresholds there holds here.
"""

from steepest.health.check.rules import functions_of
from steepest.health.watch.rules import evaluation, loop, memory, relapse, unfinished

__all__ = ["evaluation", "functions_of", "loop", "memory", "relapse", "unfinished"]
