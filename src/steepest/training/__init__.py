"""Training: from data, a model and a recipe to a run."""

from steepest.training.find_lr import find_lr as find_lr
from steepest.training.observers import StopTraining as StopTraining
from steepest.training.progress import PROGRESS as PROGRESS
from steepest.training.range_test import RangeTest as RangeTest
from steepest.training.resume import resume as resume
from steepest.training.train import train as train
