"""One decision: its state machine, its steps, the actor that drives it, what is told of it.

``machine`` and ``steps`` are the rules, without a world; ``orchestrator`` drives them;
``fallbacks`` stand in for agents; ``eligible``, ``quotes`` and ``offers`` are its material,
``reasons``, ``explanation`` and ``records`` its words.
"""
