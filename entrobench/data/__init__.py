"""Datasets: from a recipe or a hub to checked rows of problems."""
