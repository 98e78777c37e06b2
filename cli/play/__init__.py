"""An exchange to play with: it asks for bids, holds the auctions and tells what came of them.

The parts are plain values and functions (answers, exchange, summary, schedule); only ``channel``
knows links and only ``player`` knows the time.
"""
