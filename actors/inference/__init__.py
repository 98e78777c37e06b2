"""Batched inference, one worker for each device."""
