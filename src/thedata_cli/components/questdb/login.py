"""The one login of the embedded server, for HTTP and PostgreSQL."""

USER = "thedata"

PASSWORD = "questdb_password"
"""Name of the secret."""
