"""How the learning rate goes in a run of some length, by the trainer's own scheduler."""

import torch
from torch import nn
from torch.optim import SGD, Optimizer
from transformers import TrainingArguments, get_scheduler


def schedule_factors(args: TrainingArguments, n_steps: int) -> list[float]:
    """By what the trainer's scheduler multiplies the learning rate in a run of ``n_steps``.

    Args:
        args: The trainer's arguments.
        n_steps: The length of the run.

    Returns:
        One factor for each step.
    """
    optimizer: Optimizer = SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = get_scheduler(
        args.lr_scheduler_type,
        optimizer,
        num_warmup_steps=args.get_warmup_steps(n_steps),
        num_training_steps=n_steps,
        scheduler_specific_kwargs=args.lr_scheduler_kwargs or {},
    )
    factors = []
    for _ in range(n_steps):
        factors.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        scheduler.step()
    return factors
