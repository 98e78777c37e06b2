"""The HTTP edge: what exchanges and browsers say over HTTP, carried to the bidders over nng.

``actor`` watches over a thread (``server``) in which one asyncio loop serves HTTP: bid requests
(``bid_route``), everything else (``routes``), and the way to the bidders (``bidders``). What can be
told from bytes alone is in ``wire`` and ``notices``. Import what you need by its full name.
"""
