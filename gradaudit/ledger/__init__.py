"""Events become lives: a pure fold, constant memory per parameter in a steady run, stdlib only.

``life``      what happened to one gradient, as a small state machine with tallies
``timeline``  what its iterations were, one after the other
``cohorts``   parameters that lived alike so far share one life; an event splits, never copies
``cycle``     where one training iteration ends and the next begins
``evidence``  what the probe found out about single leaves, for those that starve
``testimony`` the evidence of all leaves, as events bring it
``values``    how large the gradients were, and which operation spoilt them
``samples``   the values of all leaves, as they are sampled
``stretches`` from when to when they were zero or not finite
``stock``     what a gradient holds: contributions, each with its backward
``mixtures``  what those have to do with each other that are applied together
``records``   what is known of optimizers, backwards and clearings
``ledger``    the fold itself
``rhythm``    iterations like those before: counted first, folded later by ``linear`` arithmetic
``tally``     how often something happened, and where
``recording`` the lives, and the words to tell them in: what the rules are given
"""
