"""Awkward reports, by name: every reporter is tested with the same ones."""

from __future__ import annotations

import math
import random
from dataclasses import replace

from gradaudit.model.findings import Consequence, Related, Span, Suppressed
from gradaudit.model.report import (
    Coverage,
    ExceptionInfo,
    Gap,
    ParameterInfo,
    Report,
    Stride,
    TimelineRun,
)

from .reports import at, finding, parameter, report

ENCODER = tuple(f"net.encoder.{i}.{kind}" for i in range(9) for kind in ("weight", "bias"))
HEAD = ("net.head.weight", "net.head.bias")

_CUT = at(
    42,
    "        z = self.encoder(batch.images.to(device)).detach()",
    "self.encoder(batch.images.to(device)).detach()",
    function="Trainer.training_step",
)
_GRAPH_CUT = finding(
    "`detach()` takes the output of net.encoder out of the graph, so no gradient ever reaches it",
    location=_CUT,
    parameters=ENCODER,
    related=(
        Related(
            "net.encoder takes part in the forward",
            at(17, "    h = self.encoder(x)", "self.encoder(x)", path="models/vae.py"),
        ),
        Related("its output leaves the graph here", _CUT),
        Related("the backward starts from a graph that ends there", at(144, "  loss.backward()")),
    ),
    iterations=Span(0, 119, 120),
    consequences=(
        Consequence("GA404", "opt steps without a gradient", ENCODER),
        Consequence("GA502", "net.head.bias is zero for ever", ("net.head.bias",)),
    ),
    help="Remove the `.detach()`, or detach only what the discriminator sees: the encoder is "
    "trained by this loss and by no other.\n\n    fake = z.detach()\n",
)
_FORWARD = at(
    17, "    return h.tolist()", "h.tolist()", path="models/vae.py", function="VAE.forward"
)
_LOSS = Related("no gradient comes from here", at(44, "        loss.backward()"))
_MISSING_ZERO_GRAD = finding(
    "gradients are added to after they were applied",
    rule="GA201",
    name="missing-zero-grad",
    severity="warning",
    location=at(44, "    loss.backward()"),
    iterations=Span(1, 119, 119),
    parameters=(*HEAD, ENCODER[0], ENCODER[17]),
    help="Call `opt.zero_grad()` at the top of the loop.",
)
_LEFTOVER = finding(
    "one window was never applied",
    rule="GA305",
    name="leftover-accumulation",
    severity="note",
    location=at(44, "    loss.backward()", function="<module>"),
    related=(Related("not shown for a note", at(9)),),
)
_COMPILED = Gap(
    "compiled regions",
    "code under torch.compile runs without the probe: gradients are followed at its edges, and "
    "cuts inside cannot be told",
)
_NONFINITE = finding(
    "the backward of `h.sqrt()` makes the gradient of 2 parameters NaN or Inf",
    rule="GA501",
    name="nonfinite-gradient",
    parameters=("net.encoder.weight", "net.head.weight"),
    location=at(41, "    h = h.sqrt()", "h.sqrt()"),
    iterations=Span(40, 119, 5),
    help="Add a small number under it.",
)
_SPOILT = (
    TimelineRun(0, 39, "accumulated", 2, backwards=(0, 1)),
    TimelineRun(40, 119, "nonfinite", 2, life="accumulated", backwards=(0, 1)),
)
_HOSTILE_LINE = "\tx = " + "a+" * 100 + "梯度.detach()" + "+b" * 100


def _lived(
    name: str, *runs: TimelineRun, norm: tuple[tuple[int, float], ...] = ()
) -> ParameterInfo:
    return replace(parameter(name), timeline=runs, grad_norm=norm)


SAMPLES = {
    "healthy": report(),
    "healthy_with_gaps": report(gaps=(_COMPILED, Gap("1 rank of 2", "it wrote no report"))),
    "many": report(
        _LEFTOVER,
        _MISSING_ZERO_GRAD,
        _GRAPH_CUT,
        parameters=(*ENCODER, *HEAD),
        gaps=(_COMPILED,),
    ),
    "broken_outside": report(
        replace(_GRAPH_CUT, location=_FORWARD, related=(Related("made here", _FORWARD), _LOSS)),
        finding(
            "nothing steps it",
            rule="GA401",
            location=at(30, "    opt = Adam(net.parameters())"),
            related=(_LOSS,),
            parameters=HEAD,
        ),
        parameters=(*ENCODER, *HEAD),
    ),
    "only_a_note": report(_LEFTOVER, iterations=1),
    "no_location": report(finding("nothing ever reached it", parameters=("w",))),
    "no_source": report(finding(location=at(3, path="<string>"))),
    "no_torch": report(
        torch=None,
        iterations=0,
        parameters=(),
        gaps=(Gap("everything", "the script never imported torch"),),
    ),
    "no_backward": report(iterations=0, outcome="stopped"),
    "failed": report(
        outcome="failed",
        exception=ExceptionInfo("RuntimeError", "CUDA error:\nout of memory " * 20, at(30)),
    ),
    "failed_with_finding": report(
        _MISSING_ZERO_GRAD, outcome="failed", exception=ExceptionInfo("ValueError", "", None)
    ),
    "interrupted_rank": report(outcome="interrupted", rank=1, world_size=4),
    "stopped_large": report(outcome="stopped", iterations=1_000_000),
    "hostile": report(
        finding(
            "[red]evil[/red] \x1b[31m\u202e name 梯度 " + "w" * 90,
            rule="GA999[/]",
            name="\x00",
            location=at(7, _HOSTILE_LINE, "梯度.detach()", path="data/naïve größe/\ud800.py"),
            parameters=("[bold]w\n", "net.größe", "a" * 100),
            help="\x1b]0;title\x07[link=x]",
            related=(Related("a\tb", at(3, "\n\nx", column=1)),),
        ),
        argv=("\udcff",),
    ),
    "tamed": replace(
        report(_MISSING_ZERO_GRAD),
        suppressed=(
            Suppressed(_GRAPH_CUT, "comment", "a stop-gradient, <b>on purpose</b>"),
            Suppressed(_LEFTOVER, "baseline", "known in base.json"),
        ),
        unused_ignores=("train.py:7: no GA401 is found here \x1b[31m",),
    ),
    "nothing_but_tamed": replace(
        report(), suppressed=(Suppressed(_GRAPH_CUT, "setting", "ignored in gradaudit.toml"),)
    ),
    "worthless": replace(
        report(
            _NONFINITE,
            parameters=(
                _lived("net.encoder.weight", *_SPOILT, norm=((0, 0.5), (40, math.nan))),
                _lived("net.head.weight", *_SPOILT, norm=((0, 0.25), (40, math.nan))),
                _lived("net.gate.weight", TimelineRun(0, 119, "zero", 1, False, "fresh", (1,))),
                _lived("net.unused.weight", TimelineRun(0, 119, "none", 0)),
            ),
        ),
        coverage=Coverage(3, (), (Stride(0, 7, 1), Stride(8, 104, 32))),
        backwards=(at(40, "    penalty.backward()"), at(44, "    loss.backward()")),
    ),
    "columns_beyond_the_line": report(
        finding(location=at(5, "    y = f(", column=400, end_column=500)),
        finding(location=at(6, "    y = f(", column=9, end_column=2, end_line=8)),
        finding(location=at(7, "    y = f(x)", column=9, end_column=9)),
    ),
    "a_thousand_parameters": report(
        finding(parameters=tuple(f"net.layers.{i}.w" for i in range(1000))),
        finding(parameters=tuple(f"p{i}" for i in range(1000))),
        parameters=tuple(f"net.layers.{i}.{kind}" for i in range(1000) for kind in "wb"),
    ),
}

#: Too long to keep as snapshots.
LARGE = {
    "a_thousand_findings": report(
        *(
            finding(
                f"`layers[{i}](x)` takes the value out of the graph",
                location=at(i + 1, f"    y = layers[{i}](x)", f"layers[{i}](x)"),
                parameters=(f"net.layers.{i}.w",),
                related=(Related("it is cut here", at(i + 1)),),
                severity=("error", "warning", "note")[i % 3],  # type: ignore[arg-type]
            )
            for i in range(1000)
        ),
        parameters=tuple(f"net.layers.{i}.w" for i in range(1000)),
    ),
}
EVERY = {**SAMPLES, **LARGE}

#: No finding, one, a thousand, and paths and names as nobody would wish them: of each there is a
#: snapshot in every format.
AWKWARD = ("healthy", "worthless", "a_thousand_findings", "hostile")


def long_run(parameters: int = 1000, iterations: int = 100_000, runs: int = 40) -> Report:
    """A run as long as a page has to bear: every parameter with a life of its own."""
    chance = random.Random(6)  # noqa: S311 - a picture is no secret
    states = ("fresh", "fresh", "accumulated", "none", "stale", "zero", "discarded", "nonfinite")
    infos = []
    for index in range(parameters):
        cuts = sorted(chance.sample(range(1, iterations), runs - 1))
        timeline = tuple(
            TimelineRun(first, last - 1, chance.choice(states), 1)  # type: ignore[arg-type]
            for first, last in zip([0, *cuts], [*cuts, iterations], strict=True)
        )
        norm = tuple(
            (step * iterations // 100, math.exp(chance.gauss(0, 2)) if step % 37 else math.nan)
            for step in range(100)
        )
        block, part = divmod(index, 10)
        info = parameter(f"net.blocks.{block}.{'attention' if part < 6 else 'mlp'}.w{part}")
        infos.append(replace(info, timeline=timeline, grad_norm=norm))
    return report(
        finding(parameters=tuple(info.name for info in infos[:20]), location=at(42, "    z = f()")),
        parameters=tuple(infos),
        iterations=iterations,
    )
