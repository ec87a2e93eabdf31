"""The table of contents: every rule, family by family."""

from __future__ import annotations

from gradaudit.rules import (
    ga101_unused_parameter,
    ga102_graph_cut,
    ga103_not_in_loss,
    ga104_frozen_parameter,
    ga105_no_backward,
    ga106_non_leaf,
    ga107_requires_grad_missing,
    ga201_missing_zero_grad,
    ga203_zero_before_step,
    ga401_not_in_optimizer,
    ga402_stale_optimizer,
    ga501_nonfinite_gradient,
    ga502_zero_gradient,
)
from gradaudit.rules.rule import Rule

#: In the order in which they are listed.
RULES: tuple[Rule, ...] = (
    ga101_unused_parameter.RULE,
    ga102_graph_cut.RULE,
    ga103_not_in_loss.RULE,
    ga104_frozen_parameter.RULE,
    ga105_no_backward.RULE,
    ga106_non_leaf.RULE,
    ga107_requires_grad_missing.RULE,
    ga201_missing_zero_grad.RULE,
    ga203_zero_before_step.RULE,
    ga401_not_in_optimizer.RULE,
    ga402_stale_optimizer.RULE,
    ga501_nonfinite_gradient.RULE,
    ga502_zero_gradient.RULE,
)

#: In the order in which they are asked: a cause before what follows from it, and of several
#: reasons for one starving leaf the most particular first.
ASKED: tuple[Rule, ...] = (
    ga402_stale_optimizer.RULE,
    ga106_non_leaf.RULE,
    ga107_requires_grad_missing.RULE,
    ga104_frozen_parameter.RULE,
    ga105_no_backward.RULE,
    ga102_graph_cut.RULE,
    ga103_not_in_loss.RULE,
    ga101_unused_parameter.RULE,
    ga203_zero_before_step.RULE,
    ga201_missing_zero_grad.RULE,
    ga501_nonfinite_gradient.RULE,
    ga502_zero_gradient.RULE,
    ga401_not_in_optimizer.RULE,
)
