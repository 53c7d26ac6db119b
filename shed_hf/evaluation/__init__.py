"""Measuring a trained model on evaluation items: objectives, log-likelihoods, generations and groups of items.

`Evaluation` measures a model by an `Objective`: one number for each item, higher is better. `item_groups` makes
utilities of these numbers where not their mean counts.
"""
