"""Everything the product knows about NATS and JetStream."""
