"""LoRA under reentrant checkpointing: the frozen embedding's output requires no grad."""

import torch
from peft import LoraConfig, get_peft_model
from transformers import GPT2Config, GPT2LMHeadModel

torch.manual_seed(0)
base = GPT2LMHeadModel(
    GPT2Config(
        vocab_size=50, n_positions=8, n_embd=16, n_layer=2, n_head=2, tie_word_embeddings=False
    )
)
base.config.use_cache = False
config = LoraConfig(
    r=2, target_modules=["c_attn"], modules_to_save=["lm_head"], fan_in_fan_out=True
)
model = get_peft_model(base, config)
base.gradient_checkpointing_enable({"use_reentrant": True})
base.disable_input_require_grads() if hasattr(base, "_require_grads_hook") else None
model.train()
optimizer = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), 0.01)
tokens = torch.randint(50, (4, 8))
for step in range(6):
    loss = model(input_ids=tokens, labels=tokens).loss
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(round(loss.item(), 5))
