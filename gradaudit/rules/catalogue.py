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
    ga202_partial_zero_grad,
    ga203_zero_before_step,
    ga204_accumulation_wiped,
    ga301_cross_optimizer_accumulation,
    ga302_evaluation_accumulation,
    ga303_stray_backward,
    ga304_unbounded_accumulation,
    ga305_leftover_accumulation,
    ga401_not_in_optimizer,
    ga402_stale_optimizer,
    ga403_step_before_backward,
    ga404_step_without_gradient,
    ga405_never_stepped,
    ga406_clip_after_step,
    ga407_clip_before_unscale,
    ga501_nonfinite_gradient,
    ga502_zero_gradient,
    ga601_rank_life_mismatch,
    ga602_rank_gradient_mismatch,
    ga603_rank_parameter_drift,
)
from gradaudit.rules.rule import AnyRule, RankRule, RecordingRule

#: In the order in which they are listed.
RULES: tuple[AnyRule, ...] = (
    ga101_unused_parameter.RULE,
    ga102_graph_cut.RULE,
    ga103_not_in_loss.RULE,
    ga104_frozen_parameter.RULE,
    ga105_no_backward.RULE,
    ga106_non_leaf.RULE,
    ga107_requires_grad_missing.RULE,
    ga201_missing_zero_grad.RULE,
    ga202_partial_zero_grad.RULE,
    ga203_zero_before_step.RULE,
    ga204_accumulation_wiped.RULE,
    ga301_cross_optimizer_accumulation.RULE,
    ga302_evaluation_accumulation.RULE,
    ga303_stray_backward.RULE,
    ga304_unbounded_accumulation.RULE,
    ga305_leftover_accumulation.RULE,
    ga401_not_in_optimizer.RULE,
    ga402_stale_optimizer.RULE,
    ga403_step_before_backward.RULE,
    ga404_step_without_gradient.RULE,
    ga405_never_stepped.RULE,
    ga406_clip_after_step.RULE,
    ga407_clip_before_unscale.RULE,
    ga501_nonfinite_gradient.RULE,
    ga502_zero_gradient.RULE,
    ga601_rank_life_mismatch.RULE,
    ga602_rank_gradient_mismatch.RULE,
    ga603_rank_parameter_drift.RULE,
)

#: In the order in which they are asked: a cause before what follows from it, and of several
#: reasons for one starving leaf the most particular first.  Those that are asked of one process.
ASKED: tuple[RecordingRule, ...] = (
    ga402_stale_optimizer.RULE,
    ga106_non_leaf.RULE,
    ga107_requires_grad_missing.RULE,
    ga104_frozen_parameter.RULE,
    ga105_no_backward.RULE,
    ga102_graph_cut.RULE,
    ga103_not_in_loss.RULE,
    ga101_unused_parameter.RULE,
    ga203_zero_before_step.RULE,
    ga403_step_before_backward.RULE,
    ga405_never_stepped.RULE,
    ga301_cross_optimizer_accumulation.RULE,
    ga302_evaluation_accumulation.RULE,
    ga303_stray_backward.RULE,
    ga202_partial_zero_grad.RULE,
    ga201_missing_zero_grad.RULE,
    ga501_nonfinite_gradient.RULE,
    ga502_zero_gradient.RULE,
    ga204_accumulation_wiped.RULE,
    ga406_clip_after_step.RULE,
    ga407_clip_before_unscale.RULE,
    ga401_not_in_optimizer.RULE,
    ga304_unbounded_accumulation.RULE,
    ga404_step_without_gradient.RULE,
    ga305_leftover_accumulation.RULE,
)

#: Those that are asked of the reports of all ranks, when they are merged.
ASKED_OF_RANKS: tuple[RankRule, ...] = (
    ga601_rank_life_mismatch.RULE,
    ga602_rank_gradient_mismatch.RULE,
    ga603_rank_parameter_drift.RULE,
)
