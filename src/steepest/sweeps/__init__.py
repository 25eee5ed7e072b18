"""Sweeps: many runs of one recipe, of which some settings vary; their record and their results."""

from steepest.sweeps.distributions import choice as choice
from steepest.sweeps.distributions import integers as integers
from steepest.sweeps.distributions import log_uniform as log_uniform
from steepest.sweeps.distributions import uniform as uniform
from steepest.sweeps.result import Best as Best
from steepest.sweeps.result import Sweep as Sweep
from steepest.sweeps.result import load_sweep as load_sweep
from steepest.sweeps.space import Space as Space
from steepest.sweeps.sweep import sweep as sweep
