"""``python -m flows.cli``: the quinr-flows command."""

from flows.cli.main import main

if __name__ == "__main__":
    main()
