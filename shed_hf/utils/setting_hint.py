"""How errors and warnings name a training setting that the caller should change."""


def setting_hint(name: str) -> str:
    """Say where a training setting is passed: to `curate` (an option of the shell), or to `FineTune`.

    Args:
        name: The setting, as `trl.SFTConfig` names it.

    Returns:
        Such as ``max_length= of curate, or of FineTune(args=SFTConfig(max_length=…))``.
    """
    return f"{name}= of curate, or of FineTune(args=SFTConfig({name}=…))"
