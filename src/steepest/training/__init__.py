"""Training: from data, a model and a recipe to a run."""

from steepest.training.progress import PROGRESS as PROGRESS
from steepest.training.train import train as train
