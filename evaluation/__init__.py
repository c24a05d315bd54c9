"""What decides which method is better: grading, benchmarks, statistics, tables, report."""
