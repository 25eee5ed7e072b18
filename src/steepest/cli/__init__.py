"""The command line: one file per command, thin."""

from steepest.cli.main import main as main
