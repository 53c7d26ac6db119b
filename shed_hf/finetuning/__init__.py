"""Fine-tuning as a value function: LoRA training with TRL's `SFTTrainer`, and what is read off a training run."""
