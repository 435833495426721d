"What pytest gives to every test file."
import signal
from types import SimpleNamespace

import pytest
from hypothesis import settings

from affect_nb.cli import app
from browser import CHROMIUM, DRIVER, chromium, page, server


# the same cases each time; make test-all draws others
settings.register_profile('same', derandomize=True, deadline=None)
settings.load_profile('same')


SLOWEST = 'sweep', 'search', 'kills', 'predict', 'parallel', 'ranks' # minutes each: begun last, one process would wait

def pytest_collection_modifyitems(items):
    "The slowest files first; what is marked `browser` runs wherever there is one."
    items.sort(key=lambda item: item.path.stem.removeprefix('test_') not in SLOWEST)
    if CHROMIUM and DRIVER: return
    for item in items:
        if item.get_closest_marker('browser'):
            item.add_marker(pytest.mark.skip(reason='needs chromium and chromedriver'))


@pytest.fixture
def here(capfd):
    "The command, called in this process, which has the imports behind it."
    taken = [getattr(signal, name) for name in ('SIGINT', 'SIGTERM', 'SIGHUP', 'SIGALRM') if hasattr(signal, name)]
    before = [signal.getsignal(s) for s in taken]
    def call(*args):
        with pytest.raises(SystemExit) as end: app([*map(str, args)])
        out, err = capfd.readouterr()
        return SimpleNamespace(returncode=end.value.code, stdout=out, stderr=err)
    yield call
    for s, handler in zip(taken, before): signal.signal(s, handler)
