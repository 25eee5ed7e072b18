"""The board: a local page that watches run folders, and begins trainings; none waits for it.

What is imported here needs no torch: a process that only looks on stays small and starts at once.
"""
