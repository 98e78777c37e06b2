"""How the parts talk: message types, codecs, OpenRTB, links, notices, the decision log, metrics.

Every byte that enters or leaves a process passes through this package, and is typed and bounded
here. It imports nothing of ours but ``config``. Import what you need by its full name
(``from transport.messages import Win``): this file stays empty so that a light program (the CLI,
a process that forks) never loads nng by accident.
"""
