"""Hurt a node on purpose while an exchange plays, and say whether it took it as it promises.

An experiment is a file in the Chaos Toolkit's format; the toolkit runs it, we judge it. The rooms:
``catalogue`` finds experiments, ``plan`` reads our part of them, ``sandbox`` and ``target`` are
the node, ``exchange`` is the traffic, ``watcher`` looks on, ``lab`` holds them together,
``actions`` and ``probes`` are what experiments call, ``checkers`` know what must always hold,
``verdict`` judges, ``engine`` runs one experiment, ``monkey`` needs none, ``report`` draws.
"""
