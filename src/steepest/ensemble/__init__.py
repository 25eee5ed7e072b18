"""Ensembles: several nets in one run, and the public train() and resume() that choose them."""

from steepest.ensemble.train import go_on as go_on
from steepest.ensemble.train import resume as resume
from steepest.ensemble.train import train as train
