"README.md is nbs/index.ipynb as Markdown; `python tests/readme.py` writes it."
import os, re
from pathlib import Path

import nbformat
from nbconvert import MarkdownExporter

ROOT = Path(__file__).resolve().parents[1]


def _from_root(match, folder):
    "A link of the notebook, as the README needs it: from the root instead of from nbs."
    target = match[2].partition('#')[0]
    if not target or '://' in target or not (folder/target).exists(): return match[0]
    return match[1] + os.path.relpath(folder/target, ROOT).replace(os.sep, '/') + match[2][len(target):]


def readme(notebook=ROOT/'nbs'/'index.ipynb'):
    "The text of README.md: the notebook without its hidden cells and without directives."
    nb = nbformat.read(notebook, 4)
    nb.cells = [c for c in nb.cells if not re.match(r'#\|\s*(hide|default_exp)\b', c.source)]
    for c in nb.cells: c.source = re.sub(r'^#\|.*\n?', '', c.source, flags=re.M) if c.cell_type == 'code' else c.source
    text, made = MarkdownExporter().from_notebook_node(nb)
    assert not made.get('outputs'), 'the index shows pictures by links to files, not by outputs of cells'
    text = re.sub(r'(\]\(|src=")([^)"\s]+)', lambda m: _from_root(m, notebook.parent), text)
    return re.sub(r'\n{3,}', '\n\n', text).strip() + '\n'


if __name__ == '__main__': (ROOT/'README.md').write_text(readme(), encoding='utf-8', newline='\n')
