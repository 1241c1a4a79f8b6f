"""Main text of a page."""
