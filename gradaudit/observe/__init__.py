"""Turns what happens into events.  The only package that imports torch.

``recorder``    the one object launch holds; it makes the others, its ``instruments``
``doors``       where torch comes in: one module for each
``watch``       backward, step and clearing become events; states become deposits
``gradients``   ``.grad`` of all leaves, by identity and version
``handiwork``   what the user's own code does to gradients and finds in them; ``by_hand`` gathers
                and remembers what it does between two of those points
``probe``       what is there only for the first iterations: the function mode and the tracer
``dataflow``    which value was made from which; ``flow`` walks it
``meant``       what backwards should have reached by that, and did not
``exports``     what Python is handed, in case it hands it back; ``unseen`` what no mode sees
``sampling``    how large gradients are, now and then; ``causes`` which operation spoilt them, or
                which of the ``hooks`` on the way, by what was ``measured``; ``forward`` whether
                that was spoilt before any backward
``engine``, ``optimizers``, ``modules``, ``module_hooks``, ``amp``   where torch is listened to
``forks``, ``groups``, ``compiled``, ``tracing``, ``fused``   where torch is left alone
``headroom``    where the script has filled its stack
``dynamo``      what runs in and between compiled regions, where nobody listens
``names``, ``book``, ``reads``   how users call things
``sites``, ``source``, ``cells``   and where those stand
"""

import torch  # noqa: F401 - first of all: `gradaudit run` begins its recorder inside this import
