"""What would another policy have earned? Estimates from logs whose propensities are known.

* `estimators`: IPS, SNIPS, DM, DR, DRos, Switch-DR, as means of one term a decision.
* `intervals`: bootstrap, empirical Bernstein, and the gate of the effective sample.
* `tuning`: the amount of shrinkage or the threshold, by a bound on the error or by SLOPE.
* `reward`: the cross-fitted model of rewards that DM and DR lean on.
* `logs`: files of decisions, with columns of many names. `obd`, `replay`: what is measured on them.
"""
