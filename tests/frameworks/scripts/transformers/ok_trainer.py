"""A small GPT-2: accumulation, clipping, evaluation, gradient checkpointing, label smoothing."""

import tempfile

import torch
from torch.utils.data import Dataset
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    PrinterCallback,
    Trainer,
    TrainingArguments,
    set_seed,
)

set_seed(0)


class Text(Dataset):
    def __init__(self, count):
        self.rows = torch.randint(50, (count, 8))

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        return {"input_ids": self.rows[index], "labels": self.rows[index]}


model = GPT2LMHeadModel(
    GPT2Config(
        vocab_size=50, n_positions=8, n_embd=16, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0
    )
)
with tempfile.TemporaryDirectory() as folder:
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=4,
            gradient_accumulation_steps=2,
            gradient_checkpointing=True,
            num_train_epochs=2,
            label_smoothing_factor=0.1,
            max_grad_norm=1.0,
            eval_strategy="epoch",
            save_strategy="no",
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
        ),
        train_dataset=Text(40),
        eval_dataset=Text(8),
    )
    trainer.remove_callback(PrinterCallback)  # it prints how long things took
    result = trainer.train()
print(round(result.training_loss, 5), result.global_step)
