"`affect lab` and `affect app`: one command each, this machine alone, a token, and no process that is left."
import socket
from urllib.error import HTTPError
from urllib.request import urlopen

import psutil, pytest

from browser import HERE, end, free_port, start
from common import AFFECT, affect


def status(url):
    try:
        with urlopen(url) as r: return r.status
    except HTTPError as e: return e.code


@pytest.mark.parametrize('name,private', [('app', 'voila/files/try.ipynb'), ('lab', 'api/contents/explore')])
def test_served_with_a_token_and_ended_whole(tmp_path, name, private):
    port, log = free_port(), tmp_path/'said.log'
    process = start(AFFECT, name, '--no-browser', '--port', port, port=port, folder=tmp_path, log=log)
    try:
        url = next(l for l in log.read_text().splitlines() if l.startswith(f'http://{HERE}:{port}/'))
        assert status(url) == 200 and status(f'http://{HERE}:{port}/{private}') == 403
        where, token = url.split('?token=')
        assert len(token) == 32 and status(f'http://{HERE}:{port}/{private}?token={"0" * 32}') == 403
        listening = [c.laddr.ip for c in psutil.Process(process.pid).net_connections() if c.status == 'LISTEN'
                     and c.laddr.port == port]
        assert listening == [HERE]
    finally: left = end(process)
    assert not left and process.returncode == 0, log.read_text()
    assert [f.name for f in tmp_path.iterdir()] == ['said.log']


def test_a_port_that_is_taken_is_a_sentence(tmp_path):
    with socket.socket() as s:
        s.bind((HERE, 0)); s.listen()
        done = affect('app', '--no-browser', '--port', s.getsockname()[1], cwd=tmp_path)
    assert done.returncode == 2 and 'is taken' in done.stderr and '--port' in done.stderr
    assert 'Traceback' not in done.stderr
