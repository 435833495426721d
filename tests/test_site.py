"""The documentation: it is built without a warning, every link leads somewhere, nothing is fetched from elsewhere,
every command can be typed."""
import os, re, shlex, subprocess, sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import nbformat, pytest
from typer.main import get_command

from affect_nb.cli import app
from common import ROOT
from test_notebooks import MODULES, NOTEBOOKS

SITE = 'https://affect-nb.github.io/affect_nb/'


@pytest.fixture(scope='module')
def site(tmp_path_factory):
    out = tmp_path_factory.mktemp('site')
    command = [sys.executable, '-W', 'ignore', '-m', 'mkdocs', 'build', '-q', '-d', str(out), '-f',
               str(ROOT/'mkdocs.yml')]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, 'NO_MKDOCS_2_WARNING': '1'},
                          timeout=400)
    assert done.returncode == 0 and not done.stdout + done.stderr, (done.stdout + done.stderr)[-4000:]
    return out


class Links(HTMLParser):
    "What a page refers to, and what it can be referred to by."
    def __init__(self, page):
        super().__init__()
        self.links, self.loads, self.ids, self.silent = [], [], set(), 0
        self.feed(page.read_text(encoding='utf-8'))

    def handle_starttag(self, tag, attrs):
        a = dict(attrs)
        self.ids |= {a.get('id'), a.get('name')} - {None}
        if tag == 'a' and a.get('href'): self.links.append(a['href'])
        elif a.get('src') or (tag == 'link' and a.get('rel') not in ('canonical', 'next', 'prev')):
            self.loads.append(a.get('src') or a['href'])
        if tag == 'img' and not a.get('alt'): self.silent += 1


def test_links_lead_somewhere_and_nothing_is_fetched(site):
    pages = {p.relative_to(site).as_posix(): Links(p) for p in site.rglob('*.html') if p.name != '404.html'}
    assert len(pages) > len(NOTEBOOKS)
    lost = []
    for name, page in pages.items():
        for link in page.links + page.loads:
            target, _, anchor = link.partition('#')
            if re.match(r'(data|mailto):', link): continue
            if '://' in target:
                if link in page.loads: lost.append(f'{name} loads {link}')
                continue
            path = os.path.normpath(os.path.join(os.path.dirname(name), unquote(target))) if target else name
            if not (site/path).exists(): lost.append(f'{name}: {link}')
            elif anchor and path in pages and unquote(anchor) not in pages[path].ids: lost.append(f'{name}: {link}')
        if page.silent: lost.append(f'{name}: {page.silent} pictures without words')
    assert not lost, '\n'.join(lost[:20])


def test_docstrings_lead_to_pages(site):
    for path in MODULES:
        found = re.search(rf'^Docs: {re.escape(SITE)}(\S+?)"*$', (ROOT/path).read_text(encoding='utf-8'), re.M)
        if found: assert (site/found[1]).exists(), f'{path}: {found[1]}'


def typed():
    "Each line of a shell block that calls the command."
    for name in NOTEBOOKS:
        for cell in nbformat.read(ROOT/name, 4).cells:
            for block in re.findall(r'```sh\n(.*?)```', cell.source, re.S) if cell.cell_type == 'markdown' else []:
                for line in block.splitlines():
                    words = shlex.split(line, comments=True)
                    while words and '=' in words[0]: words.pop(0)
                    if words and words[0] == 'affect': yield name, words[1:]


def test_commands_can_be_typed():
    "Options and arguments are read as the command reads them; nothing is run."
    group, seen = get_command(app), 0
    for name, words in typed():
        command = group.commands.get(words[0]) if words else None
        assert command, f'{name}: affect {shlex.join(words)}: no such command'
        try: command.make_context(words[0], list(words[1:]))
        except (Exception, SystemExit) as e: pytest.fail(f"{name}: affect {shlex.join(words)}: {e}")
        seen += 1
    assert seen > 20


def test_files_in_the_guide_are_there():
    for name in NOTEBOOKS:
        for cell in nbformat.read(ROOT/name, 4).cells:
            for config in re.findall(r'--config (\S+\.py)', cell.source if cell.cell_type == 'markdown' else ''):
                assert (ROOT/config).is_file(), f'{name}: {config}'
