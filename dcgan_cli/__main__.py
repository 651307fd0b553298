"""`python -m dcgan_cli` is `dcgan`."""

from dcgan_cli.cli.app import main

if __name__ == "__main__":
    main()
