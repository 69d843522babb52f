"""`python -m graflow`: the same as the command `graflow`."""

from graflow.cli.main import main

if __name__ == "__main__":
    main()
