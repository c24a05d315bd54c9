"""The contract that every method is held to, and the rehearsal that tries it."""
