"""fastspec against other libraries: see README.md."""
