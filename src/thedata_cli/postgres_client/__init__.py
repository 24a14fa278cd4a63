"""PostgreSQL's protocol as a client, for every component whose server speaks it."""
