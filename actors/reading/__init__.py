"""From the wire to an opportunity: what a request says, and what of it may be used.

``place`` is who we are, ``privacy`` what we may know, ``looks`` in which markets we look;
``slots``, ``floors`` and ``native_form`` read the parts of an impression, ``opportunity`` puts
all together.
"""
