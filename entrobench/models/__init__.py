"""Base models: recipes, making, loading, and what they weigh and cost."""
