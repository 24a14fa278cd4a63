"""The PostgreSQL protocol, version 3: to clients as a server, to the backend as a client."""
