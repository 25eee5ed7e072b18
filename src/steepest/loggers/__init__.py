"""Loggers: what happens in a run, told to experiment trackers, each behind an extra of its name."""

from steepest.loggers.logger import Logger as Logger
from steepest.loggers.mlflow import MLflow as MLflow
from steepest.loggers.named import LOGGERS as LOGGERS
from steepest.loggers.named import logger_from as logger_from
from steepest.loggers.tensorboard import TensorBoard as TensorBoard
from steepest.loggers.trackio import Trackio as Trackio
from steepest.loggers.wandb import WandB as WandB
