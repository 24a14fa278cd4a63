"""One folder per component."""
