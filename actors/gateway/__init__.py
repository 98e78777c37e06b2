"""The door of a bidder: requests in by ``intake``, decided, and out by ``answers``.

``admission`` says who comes in, ``overload`` how many, ``answer_memory`` who was here before,
``responses`` what an answer looks like.
"""
