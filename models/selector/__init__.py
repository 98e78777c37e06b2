"""Which ad? Contextual Thompson sampling over embeddings; `thompson` is what serves it."""
