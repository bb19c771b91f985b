"""``python -m instmodel``: the command line."""

import sys

from instmodel.cli import main

sys.exit(main())
