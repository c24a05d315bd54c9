"""The look of a report, and what it is put together from: one HTML file with everything inside."""
