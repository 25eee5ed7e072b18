"""Sweeps: many runs of one recipe, of which some settings vary; their record and their results."""

from steepest.sweeps.attached import attach as attach
from steepest.sweeps.best import Best as Best
from steepest.sweeps.comparison import Comparison as Comparison
from steepest.sweeps.comparison import compare as compare
from steepest.sweeps.distributions import choice as choice
from steepest.sweeps.distributions import integers as integers
from steepest.sweeps.distributions import log_uniform as log_uniform
from steepest.sweeps.distributions import uniform as uniform
from steepest.sweeps.importance import Importance as Importance
from steepest.sweeps.result import Sweep as Sweep
from steepest.sweeps.result import load_sweep as load_sweep
from steepest.sweeps.space import Space as Space
from steepest.sweeps.statistics import Difference as Difference
from steepest.sweeps.statistics import Interval as Interval
from steepest.sweeps.statistics import difference as difference
from steepest.sweeps.statistics import mean_interval as mean_interval
from steepest.sweeps.sweep import sweep as sweep
