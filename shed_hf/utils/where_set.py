"""Where a setting of training is passed, for errors and warnings that ask to change one."""


def where_set(name: str) -> str:
    """How a setting of training is passed to `curate`, which a shell knows as an option, and to `FineTune`.

    Args:
        name: The setting, as `trl.SFTConfig` names it.

    Returns:
        Such as ``max_length= of curate, or of FineTune(args=SFTConfig(max_length=…))``.
    """
    return f"{name}= of curate, or of FineTune(args=SFTConfig({name}=…))"
