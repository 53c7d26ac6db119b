"""Publishing curated datasets and scorers on the Hugging Face Hub, and reading them back."""
