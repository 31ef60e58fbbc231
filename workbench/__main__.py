"""python -m workbench ..."""

import sys

if __name__ == "__main__":
    try:
        from workbench.cli import main

        status: int | str = main(sys.argv[1:])
    except KeyboardInterrupt:  # the imports alone take seconds, in which somebody may change their mind
        status = "workbench: stopped"
    sys.exit(status)
