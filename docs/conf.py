"""Sphinx configuration."""

import skrdia

project = "skrdia"
author = "The skrdia developers"
copyright = "2026, The skrdia developers"
release = version = skrdia.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build"]
html_theme = "pydata_sphinx_theme"
html_theme_options = {"show_prev_next": False}
default_role = "code"

autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",
    "show_memory": False,
    "download_all_examples": False,
    "reference_url": {"skrdia": None},
    "backreferences_dir": None,
}
