"""`python -m ghostbench` is `bench`."""

from ghostbench.cli.main import main

if __name__ == "__main__":
    main()
