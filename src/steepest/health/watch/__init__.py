"""During training: hooks on the objects, what they have trace, and the rules that judge it."""
