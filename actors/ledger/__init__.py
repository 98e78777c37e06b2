"""The one writer of money: rules (``books``), burst by burst (``clerk``), on disk (``store``).

``actor`` puts the three behind a socket, ``verify`` checks what they left on disk; the bidder's
half of the same rules is ``actors.budget``. Import what you need by its full name: this file stays
empty so that a light program (``bidwright ledger show``) loads no actor.
"""
