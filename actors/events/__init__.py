"""What became of our bids.

``desk`` hears it, ``notice_rules`` say what it means for money, ``feeds`` carry it between
processes.
"""
