"""Tables as data, and their formats."""
