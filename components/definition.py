"""What all components share: one image, and no installation at run time.

The image holds the library; a component's body only imports it. On a laptop the same bodies run
as child processes and the image's name tells nothing but the version of the code, which is part
of what KFP keys its cache by.
"""

import os
from functools import partial

from kfp import dsl

from rampart import __version__

BASE_IMAGE = os.environ.get("RAMPART_PIPELINE_IMAGE", f"rampart-pipeline:{__version__}")

component = partial(dsl.component, base_image=BASE_IMAGE, install_kfp_package=False)
