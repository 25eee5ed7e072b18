"""During training: hooks on the objects, what they have seen, and the rules that judge it."""
