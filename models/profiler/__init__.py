"""Who is this? A user's recent events become a place in the space of interests.

`events` is the vocabulary (no heavy import), `network` the model, `runtime` what serves it.
"""
