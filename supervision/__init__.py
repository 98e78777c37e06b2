"""Who keeps the agents alive: specs, the supervisor, placements (cell, process), registry and fallback routes."""
