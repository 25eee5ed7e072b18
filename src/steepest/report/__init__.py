"""Pictures of a run. Nothing here changes one."""

from steepest.report.plots import plot_curves as plot_curves
from steepest.report.plots import save_curves as save_curves
