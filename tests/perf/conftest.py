import sys

from support.paths import ROOT

# Benchmarks and examples are not installed. Last, so that the package is the installed one.
sys.path.append(str(ROOT))
