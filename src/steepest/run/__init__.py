"""A run: its events, its record, its folder."""

from steepest.run.attached import attach as attach
from steepest.run.events import EpochFinished as EpochFinished
from steepest.run.events import Event as Event
from steepest.run.events import FindingMade as FindingMade
from steepest.run.events import IntervalFinished as IntervalFinished
from steepest.run.events import Observer as Observer
from steepest.run.events import RunStarted as RunStarted
from steepest.run.events import RunStopped as RunStopped
from steepest.run.folder import LOCK as LOCK
from steepest.run.folder import RECORD as RECORD
from steepest.run.folder import begin_run_folder as begin_run_folder
from steepest.run.folder import require_run_folder as require_run_folder
from steepest.run.parts import load_parts as load_parts
from steepest.run.parts import load_whole as load_whole
from steepest.run.parts import split_by as split_by
from steepest.run.record import Record as Record
from steepest.run.run import Run as Run
from steepest.run.run import load_run as load_run
from steepest.run.tensors import BEST as BEST
from steepest.run.tensors import CHECKPOINTS as CHECKPOINTS
from steepest.run.tensors import STEP as STEP
from steepest.run.tensors import read_tensors as read_tensors
from steepest.run.tensors import write_tensors as write_tensors
