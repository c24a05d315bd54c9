"""Study files: loaded, planned, locked and scheduled as runs."""
