"""At what price? What an impression is worth (`value`), and what to bid for it (`pricing`)."""
