"""What comes next? Models of sequences of items, measured beside what needs no training.

`logs` reads public session and purchase logs, `metrics` ranks against all items, `vsknn` and
`simple` are the baselines, `encoder` says what a learnt model offers (`narm`, `sasrec`), `losses`
and `learner` train one, `blend` mixes several, and `evaluation` makes the table.
"""
