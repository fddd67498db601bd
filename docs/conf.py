"""The documentation site: ``nox -s docs`` builds it and opens every page in Chromium."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

project = "crack_lightning"
html_title = "crack_lightning"
copyright = "the authors of crack_lightning, Apache-2.0"  # noqa: A001
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 3
myst_links_external_new_tab = False

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
HEAVY = ("torch", "torchvision", "timm", "huggingface_hub", "cv2", "simplejpeg")
autodoc_mock_imports = [name for name in HEAVY if find_spec(name) is None]  # docstrings need none of them
python_maximum_signature_line_length = 80
nitpicky = True
nitpick_ignore_regex = [("py:.*", ".*")]  # types of NumPy and others; intersphinx would need a network

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}
pygments_style = "friendly"


def setup(app: Sphinx) -> None:
    """Fill in what is generated from the package when its page is read."""
    app.connect("source-read", _fill_in)


def _fill_in(_app: Sphinx, docname: str, source: list[str]) -> None:
    if docname == "reference/configuration":
        from crack_lightning.cli.reference import configuration_reference

        source[0] = source[0].replace("<!-- reference -->", configuration_reference().partition("\n")[2])
