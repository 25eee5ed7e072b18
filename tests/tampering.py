"""Checkpoints with numbers that no run writes."""

import json
import shutil

from steepest.errors import RunError

ODD = (None, True, -2, 0.5, 2**64, 10**400, "3", "x", [], [1], {}, {"a": 1}, float("nan"))


def times_refused(trained, copy, place, resume):
    """How often `resume` refuses a copy of a run's folder, with each odd value at this place."""
    refused = 0
    for value in ODD:
        folder = shutil.copytree(trained, copy, dirs_exist_ok=True)
        for path in folder.glob("checkpoints/step-*.json"):
            about = inside = json.loads(path.read_text())
            for key in place[:-1]:
                inside = inside[key]
            if inside is None:  # of the first moment, when nothing was measured yet
                path.unlink()
                continue
            inside[place[-1]] = value
            path.write_text(json.dumps(about))
        try:
            resume(folder)
        except RunError:
            refused += 1
    return refused
