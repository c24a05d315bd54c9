"""Everything that is drawn: figures as files, and the same panels as drawings inside the page."""
