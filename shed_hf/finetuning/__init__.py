"""Fine-tuning as a value function: LoRA training with TRL's `SFTTrainer`, and what is read off a training run.

`FineTune` says how a model is tuned; bound to a pool and to evaluation items it is a `TrainerUtility`, which measures
sets of rows. `ProxyValueCallback` and `gradient_credit` read the worth of rows off a run.
"""
