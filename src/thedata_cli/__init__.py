"""`thedata`: one declared project, one running real-time data platform."""

__version__ = "0.1.0"
