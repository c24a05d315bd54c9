"""Base models out of packages: the wheel, the GGUF file in it, and the stage that teaches the form of an answer."""
