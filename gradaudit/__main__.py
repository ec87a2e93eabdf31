"""``python -m gradaudit``: the same command as ``gradaudit``."""

from gradaudit.cli.app import main

if __name__ == "__main__":
    main()
