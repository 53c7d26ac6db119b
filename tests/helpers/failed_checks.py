"""The words for checks that a ranking fails."""


def halves(reliability: str) -> str:
    return f"halves of the measurements agree to {reliability} of 1 (reliability), below 0.5"


def luck(p_value: str) -> str:
    return f"clusters of equal worth would be ranked as clearly by chance with p = {p_value}, above 0.05"
