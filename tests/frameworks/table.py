"""The scripts of each framework, and what is to be found in them, on the user's own line."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from fixtures.faulty import Faulty, layers

SCRIPTS = Path(__file__).resolve().parent / "scripts"


@dataclass(frozen=True)
class Framework:
    """Its folder of scripts, and the modules to be loaded before they are run."""

    name: str
    modules: tuple[str, ...]

    @property
    def there(self) -> bool:
        """Whether it is installed."""
        return all(find_spec(name.partition(".")[0]) for name in self.modules)

    @property
    def scripts(self) -> list[str]:
        return sorted(f"{self.name}/{path.name}" for path in (SCRIPTS / self.name).glob("*.py"))


FRAMEWORKS = (
    Framework("accelerate", ("accelerate",)),
    Framework("ignite", ("ignite.engine", "ignite.metrics")),
    Framework("lightning", ("pytorch_lightning",)),
    Framework("peft", ("peft", "transformers.models.gpt2.modeling_gpt2")),
    Framework("skorch", ("skorch",)),
    Framework("stable_baselines3", ("stable_baselines3",)),
    Framework("torch_geometric", ("torch_geometric.nn", "torch_geometric.loader")),
    Framework(
        "transformers",
        (
            "transformers.trainer",
            "transformers.models.bert.modeling_bert",
            "transformers.models.gpt2.modeling_gpt2",
        ),
    ),
)

FAULTY: tuple[Faulty, ...] = (
    Faulty(
        "accelerate/fail_clipped_late.py",
        "GA406",
        "accelerator.clip_grad_norm_(model.parameters(), 1.0)",
        layers("model.0", "model.2"),
    ),
    Faulty(
        "accelerate/fail_detached.py",
        "GA102",
        "features = torch.tensor(encoder(x).relu().tolist())",
        layers("encoder"),
    ),
    Faulty(
        "accelerate/fail_not_cleared.py",
        "GA201",
        "accelerator.backward(loss)",
        layers("model.0", "model.2"),
    ),
    Faulty(
        "accelerate/fail_window_wiped.py",
        "GA204",
        "optimizer.zero_grad()",
        layers("model.0", "model.2"),
    ),
    Faulty(
        "ignite/fail_detached.py",
        "GA102",
        "return self.head(features.data)",
        layers("model.encoder"),
    ),
    Faulty("ignite/fail_not_cleared.py", "GA201", "loss.backward()", layers("model.0", "model.2")),
    Faulty(
        "lightning/fail_cleared_too_early.py",
        "GA203",
        "g_opt.zero_grad()",
        layers("model.generator"),
    ),
    Faulty(
        "lightning/fail_detached.py",
        "GA102",
        "features = self.encoder(x).relu().detach()",
        layers("model.encoder"),
    ),
    Faulty(
        "lightning/fail_loss_not_returned.py",
        "GA105",
        "loss = nn.functional.cross_entropy(self.head(features), y)",
        layers("model.encoder", "model.head"),
    ),
    Faulty(
        "lightning/fail_loss_only_logged.py",
        "GA103",
        "depth = self.depth(features).square().mean()",
        layers("model.depth"),
    ),
    Faulty(
        "lightning/fail_manual_not_cleared.py",
        "GA201",
        "self.manual_backward(loss)",
        layers("model.encoder", "model.head"),
    ),
    Faulty(
        "lightning/fail_not_in_optimizer.py",
        "GA401",
        "return torch.optim.SGD(self.head.parameters(), 0.1)",
        layers("model.encoder"),
        severity="warning",
        code=0,
    ),
    Faulty(
        "lightning/fail_unused_layer.py",
        "GA101",
        "self.norm = nn.LayerNorm(16)",
        layers("model.norm"),
    ),
    Faulty(
        "peft/fail_adapter_not_active.py",
        "GA101",
        'model.add_adapter("second", LoraConfig(r=2, target_modules=["2"]))',
        frozenset({"net.2.lora_A.second.weight", "net.2.lora_B.second.weight"}),
    ),
    Faulty(
        "peft/fail_optimizer_first.py",
        "GA401",
        "optimizer = torch.optim.AdamW(model.parameters(), 0.01)",
        frozenset(
            f"model.base_model.model.encoder.lora_{part}.default.weight" for part in ("A", "B")
        ),
    ),
    Faulty(
        "peft/fail_reentrant_checkpoint.py",
        "GA102",
        "loss = model(input_ids=tokens, labels=tokens).loss",
        frozenset(
            f"base.transformer.h.{layer}.attn.c_attn.lora_{part}.default.weight"
            for layer in (0, 1)
            for part in ("A", "B")
        ),
    ),
    Faulty(
        "skorch/fail_detached.py",
        "GA102",
        "return self.out(self.hidden(x).relu().detach())",
        layers("net.module_.hidden"),
    ),
    Faulty(
        "skorch/fail_unused_layer.py",
        "GA101",
        "self.norm = nn.BatchNorm1d(16)",
        layers("net.module_.norm"),
    ),
    Faulty(
        "stable_baselines3/fail_extractor.py",
        "GA102",
        "@torch.no_grad()",
        layers("agent.policy.features_extractor.layer"),
    ),
    Faulty(
        "stable_baselines3/fail_extractors.py",
        "GA102",
        "return self.layer(observations).tanh().detach()",
        layers(
            "first.policy.features_extractor.layer", "second.policy.q_net.features_extractor.layer"
        ),
    ),
    Faulty(
        "torch_geometric/fail_layer_overwritten.py",
        "GA103",
        "h = self.first(x, edge_index).relu()",
        frozenset({"net.first.bias", "net.first.lin.weight"}),
    ),
    Faulty(
        "transformers/fail_detached.py",
        "GA102",
        "with torch.no_grad():",
        layers("trainer.model.encoder"),
    ),
    Faulty(
        "transformers/fail_unused_layer.py",
        "GA101",
        "self.pooler = nn.Linear(16, 16)",
        layers("trainer.model.pooler"),
    ),
)

HEALTHY = tuple(
    script for framework in FRAMEWORKS for script in framework.scripts if "/ok_" in script
)
