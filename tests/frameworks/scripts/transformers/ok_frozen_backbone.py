"""A BERT classifier with a frozen backbone and a loss of the user's own; AdamW gets everything."""

import tempfile

import torch
from torch import nn
from torch.utils.data import Dataset
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    PrinterCallback,
    Trainer,
    TrainingArguments,
    set_seed,
)

set_seed(0)


class Rows(Dataset):
    def __len__(self):
        return 32

    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(index)
        return {"input_ids": torch.randint(40, (6,), generator=generator), "labels": index % 2}


class Weighted(Trainer):
    def compute_loss(self, model, inputs, return_outputs=False, **_):
        labels = inputs.pop("labels")
        outputs = model(**inputs)
        loss = nn.functional.cross_entropy(outputs.logits, labels, torch.tensor([1.0, 2.0]))
        return (loss, outputs) if return_outputs else loss


model = BertForSequenceClassification(
    BertConfig(
        vocab_size=40,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=8,
        num_labels=2,
    )
)
for parameter in model.bert.encoder.parameters():
    parameter.requires_grad = False

with tempfile.TemporaryDirectory() as folder:
    arguments = TrainingArguments(
        output_dir=folder,
        per_device_train_batch_size=8,
        num_train_epochs=2,
        save_strategy="no",
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
    )
    trainer = Weighted(
        model,
        arguments,
        train_dataset=Rows(),
        optimizers=(torch.optim.AdamW(model.parameters(), 0.01), None),
    )
    trainer.remove_callback(PrinterCallback)  # it prints how long things took
    result = trainer.train()
print(round(result.training_loss, 5), result.global_step)
