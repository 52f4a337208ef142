"""``python -m realtime``: the same as ``avatar-live``."""

from realtime.cli import main

if __name__ == "__main__":
    main()
