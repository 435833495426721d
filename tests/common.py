"What several test files share."
import os, shutil, subprocess, sys, sysconfig
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENV = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONDONTWRITEBYTECODE': '1'}
AFFECT = shutil.which('affect', path=sysconfig.get_path('scripts'))


def affect(*args, cwd=None):
    "The command, in a process of its own."
    assert AFFECT, 'the command is not installed in this environment: pip install -e .'
    return subprocess.run([AFFECT, *map(str, args)], capture_output=True, text=True, encoding='utf-8',
                          env={**ENV, 'PYTHONUTF8': '1'}, cwd=cwd, timeout=600)


def tracked():
    """The files of the checkout: those of git and new ones that it does not ignore, or all but what is made, where
    there is no git."""
    git = subprocess.run(['git', '-C', ROOT, 'ls-files', '-z', '--cached', '--others', '--exclude-standard'],
                         capture_output=True, text=True)
    if git.returncode == 0: names = map(Path, filter(None, git.stdout.split('\0')))
    else:
        ignored = [l.strip().rstrip('/') for l in (ROOT/'.gitignore').read_text().splitlines()] + ['.git']
        made = lambda n: any(fnmatch(n.parts[0], i[1:]) if i[0] == '/' else any(fnmatch(p, i) for p in n.parts)
                             for i in ignored if i)
        names = (n for f in ROOT.rglob('*') if not made(n := f.relative_to(ROOT)))
    return sorted(n for n in names if (ROOT/n).is_file())


def copy_checkout(to):
    "The files of the checkout, in another folder."
    for name in tracked():
        (to/name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT/name, to/name)
    return to


def run_python(*args, **kwargs):
    "This Python in a process of its own, which must end well."
    done = subprocess.run([sys.executable, *map(str, args)], capture_output=True, text=True,
                          env={**ENV, **kwargs.pop('env', {})}, timeout=300, **kwargs)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
