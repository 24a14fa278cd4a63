"""What the user writes: files in, typed models with source positions out."""
