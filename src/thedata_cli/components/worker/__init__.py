"""The worker: the product's own process that runs the pipelines of a project."""
