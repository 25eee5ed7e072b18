"""Export: a trained run as files that other programs read."""

from steepest.export.export import export_run as export_run
