"""Sets Python's interpreter up for a screen and a training that share it."""

import gc
import sys

_SWITCH_SECONDS = 0.0005
"""How long a training, which comes back to the interpreter after every operation, waits for the screen there.

With Python's own 5 ms a tenth of the steps are lost while something is drawn.
"""

_THRESHOLDS = 4000, 20, 20
"""After how much the three generations are collected; Python's own are 700, 10, 10.

Every line that Textual has drawn is cyclic garbage once it is drawn anew. With Python's own thresholds most
of it is still on the screen when it is looked at, and is left to collections of everything, which take 0.1 s
and more: in that time no key is answered and no step is made.
"""


def tune_interpreter() -> None:
    """Let screen and training wait little for each other and for the collector of garbage."""
    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.set_threshold(*_THRESHOLDS)
