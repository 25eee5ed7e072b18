"""Scripts: a run as a plain PyTorch file that trains the same net."""

from steepest.export.script.write import write_script as write_script
