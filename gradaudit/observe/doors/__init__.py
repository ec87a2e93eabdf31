"""Where torch comes in: one module for each door.

Whatever torch calls of ours is a method in here.  It asks ``arrivals`` whether to listen at all
and where in the user's code this is, keeps the audit's own clock, and turns whatever breaks inside
the audit into a gap of the report.  A call that is ``routine`` is not asked about again.

``backward``       ``Tensor.backward`` and ``torch.autograd.grad``
``stepping``       optimizers: built, stepped, cleared
``scaling``        ``GradScaler``
``registration``   parameters and modules that modules take in
``compiling``      ``torch.compile``
"""
