"""MLflow as a projection of result files."""
