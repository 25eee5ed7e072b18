"""Presets: named recipes, and what each decides from the data that it meets."""

from steepest.presets.decide import contradicts as contradicts
from steepest.presets.decide import decide as decide
from steepest.presets.decide import views as views
from steepest.presets.preset import Meeting as Meeting
from steepest.presets.tabular import bins_for as bins_for
