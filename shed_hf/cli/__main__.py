"""`python -m shed_hf.cli` is `shed-hf`."""

from shed_hf.cli.shell import main

if __name__ == "__main__":
    main()
