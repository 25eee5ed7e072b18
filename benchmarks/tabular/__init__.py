"""Classifiers of tables side by side, each with its defaults: see __main__.py."""
