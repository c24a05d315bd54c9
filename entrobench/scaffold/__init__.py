"""Writes the files with which a user begins: a study, a dataset of their own."""
