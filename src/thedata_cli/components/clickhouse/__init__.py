"""ClickHouse: the analytics store. Everything the product knows about it is in this folder."""
