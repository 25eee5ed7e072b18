"""Trainings that a page begins, stops and goes on with: a form, what may be asked, processes."""
