"""Pictures of a run. Nothing here changes one."""

from steepest.report.plots import TRAIN as TRAIN
from steepest.report.plots import VALIDATION as VALIDATION
from steepest.report.plots import plot_curves as plot_curves
from steepest.report.plots import plot_rate_test as plot_rate_test
from steepest.report.plots import save_curves as save_curves
from steepest.report.plots import save_rate_test as save_rate_test
