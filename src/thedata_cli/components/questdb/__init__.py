"""QuestDB: the time-series store. Everything the product knows about it is in this folder."""
