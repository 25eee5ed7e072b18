"""The board: a local page that watches run folders; it only reads, and no training waits for it.

What is imported here needs no torch: a process that only looks on stays small and starts at once.
"""
