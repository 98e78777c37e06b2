"""Markup: what a browser, a player or an app gets to show one of our ads.

Pure functions of ad and placement. Each writes its text once, with a mark where the bid's signed
name belongs (`actors.markup.trackers.MARK`); a bid only puts that name in, see
`actors.markup.workshop`.
"""
