"""The playground: small trainings of the real engine that a page moves step by step.

`routes` alone may be imported without torch, by a server whose pages do not play.
"""
