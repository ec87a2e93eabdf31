"""Turns what happens into events.  The only package that imports torch.

``recorder``     the one object launch holds; it makes the others, its ``instruments``
``doors``        where torch comes in: one module for each
``care``         what the audit costs inside somebody else's program, and what of it goes wrong
``attendance``   where an iteration ends: a limit stops the run, or somebody is called

The watch, for all of the run:

``watch``        backward, step and clearing become events; states become deposits
``usual``        what is known of one of these to which nothing unheard of has happened
``leaves``       the leaves there are; ``gradients`` their ``.grad``, by identity and version
``backwards``    what is asked before a backward and told behind it: of its ``roots`` and the
                 ``graph`` below them, and what is known in the ``beginnings``
``accumulation`` backwards that add to the same gradients, one right after the other
``evaluations``  closures that a step calls more than once
``eval_mode``    whether the modules that a backward reached are in eval mode
``handiwork``    what the user's own code does to gradients and finds in them, told to
                 ``watchers``; ``by_hand`` gathers and remembers what it does between two points
``sampling``     how large gradients are, now and then; ``magnitude`` how that is measured
``replicas``     what several processes keep equal

The probe, for the first iterations:

``probe``        what is there only then: the ``function_mode`` and the ``tracer``
``dataflow``     which value was made from which: ``nodes`` keeps them, ``flow`` walks them;
                 ``operations`` says of what kind each call is, ``arguments`` what it is given
``writes``       what is written into tensors; ``written`` what that means
``entries``      where leaves first took part in an operation
``exports``      what Python is handed, in case it hands it back; ``unseen`` what no mode sees
``grad_mode``    where it was switched off
``meant``        what backwards should have reached by all that, and did not
``causes``       which operation spoilt gradients, found in the ``lines``, or which of the ``hooks``
                 on the way, by what was ``measured``; ``flatness`` why it made zeros, ``forward``
                 whether something was spoilt before any backward

Torch and the script around it:

``engine``, ``optimizers``, ``modules``, ``module_hooks``, ``amp``   where torch is listened to, by
                 ``patches`` where nothing else will do
``forks``, ``groups``, ``compiled``, ``tracing``, ``fused``   where torch is left alone
``dynamo``       what runs in and between compiled regions, where nobody listens
``headroom``     where the script has filled its stack
``names``, ``book``, ``reads``   how users call things
``sites``, ``source``, ``columns``, ``cells``   and where those stand
``unwarned``     reads them without a warning of Python's
"""

import torch  # noqa: F401 - first of all: `gradaudit run` begins its recorder inside this import
