"""A browser that knows no other host than this machine: headless Chromium, driven against pages of 127.0.0.1.

A test takes the fixture `page`, opens an explorer by its name (`page.open('try')`), acts as a person does, and asserts
on what the page says. Each picture that it takes (`page.shot('name')`) is kept in runs/browser, to be looked at.
A test fails when its page has asked another host for anything, or when a cell of its notebook has failed."""
import json, os, secrets, shutil, signal, socket, subprocess, sys, time
from types import SimpleNamespace
from urllib.parse import urlsplit

import psutil, pytest

from common import ENV, ROOT

CHROMIUM, DRIVER = shutil.which('chromium'), shutil.which('chromedriver')
SHOTS = ROOT/'runs'/'browser'
HERE = '127.0.0.1'
ARGUMENTS = ('--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage',
             '--disable-background-networking',
             '--disable-component-update', f'--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE {HERE}')


def free_port():
    with socket.socket() as s:
        s.bind((HERE, 0))
        return s.getsockname()[1]


def wait_for(what, seconds=60, why='it did not come'):
    "The first true answer of a question that is asked again and again."
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, why() if callable(why) else why
        time.sleep(.1)
    return found


def listens(port):
    with socket.socket() as s: return s.connect_ex((HERE, port)) == 0


def start(*command, port, folder, log):
    "A server in a process of its own, once it listens; it can be interrupted even where this process can't."
    def interruptible(): signal.signal(signal.SIGINT, signal.SIG_DFL)
    with log.open('w') as f:
        process = subprocess.Popen(list(map(str, command)), cwd=folder, env=ENV, stdout=f, stderr=f,
                                   preexec_fn=interruptible)
    wait_for(lambda: listens(port) or process.poll() is not None, why=log.read_text)
    assert process.poll() is None, log.read_text()
    return process


def end(process):
    "End a server as Ctrl-C does; those of its processes that are left, which must be none."
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    try: process.wait(30)
    except subprocess.TimeoutExpired: process.kill()
    left = psutil.wait_procs(family, timeout=10)[1]
    for p in left: p.kill()
    return left


@pytest.fixture(scope='session')
def server(tmp_path_factory):
    "Copies of all explorers (in `pages`), served as `affect app` does; their kernels work in the empty folder `home`."
    from affect_nb.explore.serve import copy_explorers
    home, pages = tmp_path_factory.mktemp('home'), copy_explorers(tmp_path_factory.mktemp('pages'))
    port, token = free_port(), secrets.token_hex(8)
    code = f"from affect_nb.explore.serve import serve_pages; serve_pages({str(pages)!r}, {port}, {token!r}, False)"
    process = start(sys.executable, '-W', 'ignore', '-c', code, port=port, folder=home, log=home.with_suffix('.log'))
    yield SimpleNamespace(home=home, pages=pages, url=f'http://{HERE}:{port}', token=token)
    assert not end(process), 'a kernel was left behind'


@pytest.fixture(scope='session')
def chromium():
    "The driver of a browser."
    from selenium import webdriver
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for a in ARGUMENTS: options.add_argument(a)
    options.page_load_strategy = 'none' # Voilà's page is loaded when all its cells have run: what is awaited is on it
    options.set_capability('goog:loggingPrefs', dict(performance='ALL'))
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def page(request, chromium, server):
    "A page to look at and to act upon."
    page = Page(chromium, server, request.node.name)
    yield page
    page.shot('end')
    asked = page.other_hosts()
    chromium.get('about:blank') # its kernel ends
    assert not asked, f'the page asked other hosts: {asked}'


class Page:
    "What a person does with a page; every action waits until it can be done."
    def __init__(self, driver, server, name):
        self.driver, self.server, self.name = driver, server, name
        self.size(1280, 1600)
        driver.get_log('performance')

    def size(self, width, height):
        "Pixels of the window: 390 × 844 is a phone."
        self.driver.set_window_size(width, height)

    def open(self, name, seconds=240):
        "Open an explorer, such as 'try', and wait until its cells have run."
        self.go(f'{self.server.url}/voila/render/{name}.ipynb?token={self.server.token}')
        self.find('#rendered_cells', seconds)
        assert 'error when executing cell' not in self.text(), self.text()
        return self

    def go(self, url):
        "Leave the page for another."
        self.driver.execute_script('window.left = true')
        self.driver.get(url)
        wait_for(lambda: not self.driver.execute_script('return window.left'), why=f'{url} is not answered')

    def find(self, css, seconds=30):
        "The first element of a kind that is to be seen."
        def seen(): return next((e for e in self.driver.find_elements('css selector', css) if e.is_displayed()), None)
        return wait_for(lambda: self._try(seen), seconds, lambda: f'{css} is not to be seen:\n{self.text()}')

    def _try(self, what):
        "What an element says, or None where the page has just drawn it anew."
        from selenium.common.exceptions import StaleElementReferenceException
        try: return what()
        except StaleElementReferenceException: return None

    def text(self):
        "What can be read on the page."
        return self.driver.execute_script('return document.body?.innerText ?? ""')

    def wait(self, text, seconds=60):
        "Wait until a text stands on the page, and give back all that stands there."
        wait_for(lambda: text in self.text(), seconds, lambda: f'{text!r} is not on the page:\n{self.text()}')
        return self.text()

    def widget(self, description, seconds=30):
        "The ipywidget with a description."
        def named():
            for label in self.driver.find_elements('css selector', '.widget-label, .jupyter-widget-label'):
                if label.is_displayed() and label.text.strip() == description: return label.find_element('xpath', '..')
        return wait_for(lambda: self._try(named), seconds, lambda: f'no widget {description!r}:\n{self.text()}')

    def set_slider(self, description, value):
        "Move a slider to a value with the arrow keys; `value` as it is shown beside it."
        from selenium.webdriver.common.keys import Keys
        slider = self.widget(description)
        handle = slider.find_element('css selector', '.noUi-handle')
        def now(): return slider.find_element('css selector', '.widget-readout').text.strip()
        try: forward = float(str(value)) > float(now())
        except ValueError: handle.send_keys(Keys.HOME); forward = True
        for _ in range(1000):
            if now() == str(value): return
            handle.send_keys(Keys.ARROW_RIGHT if forward else Keys.ARROW_LEFT)
        raise AssertionError(f'{description} stands at {now()}, not at {value}')

    def choose(self, description, option):
        "Choose an option of a list."
        from selenium.webdriver.support.ui import Select
        Select(self.widget(description).find_element('css selector', 'select')).select_by_visible_text(option)

    def type(self, description, text):
        "Write a text into a field, and end with Enter."
        from selenium.webdriver.common.keys import Keys
        field = self.widget(description).find_element('css selector', 'input, textarea')
        field.send_keys(Keys.CONTROL, 'a')
        field.send_keys(text, Keys.ENTER)

    def press(self, name):
        "Press the button with a name, by the keyboard."
        from selenium.webdriver.common.keys import Keys
        def named(): return next((b for b in self.driver.find_elements('css selector', 'button')
                                  if b.is_displayed() and b.is_enabled() and b.text.strip() == name), None)
        wait_for(lambda: self._try(named), 30, lambda: f'no button {name!r}:\n{self.text()}').send_keys(Keys.ENTER)

    def click(self, css, text):
        "Click on the element of a kind that says a text."
        def named():
            return next((e for e in self.driver.find_elements('css selector', css) if e.is_displayed()
                         and e.text.strip() == text), None)
        wait_for(lambda: self._try(named), 30, lambda: f'{css} does not say {text!r}:\n{self.text()}').click()

    def drop(self, css, file):
        "Drop a file on an element, as a mouse would."
        self._give(css, file, """
            for (const kind of ['dragover', 'drop'])
                target.dispatchEvent(new DragEvent(kind, {dataTransfer: data, bubbles: true, cancelable: true}))""")

    def paste(self, css, file):
        "Paste a file into an element, as the keyboard would."
        self._give(css, file, "target.dispatchEvent(new ClipboardEvent('paste', {clipboardData: data, bubbles: true}))")

    def _give(self, css, file, event):
        "Hand a file of this machine over by a script of the page's."
        take = self.driver.execute_script("""
            const input = document.createElement('input');
            input.type = 'file';
            document.body.append(input);
            return input""")
        take.send_keys(str(file))
        self.driver.execute_script("""
            const [target, input] = arguments, data = new DataTransfer();
            data.items.add(input.files[0]);
            input.remove();
            """ + event, self.find(css), take)

    def shot(self, name):
        "Keep a picture of the page: runs/browser/<test>-<name>.png."
        SHOTS.mkdir(parents=True, exist_ok=True)
        file = SHOTS/f'{self.name}-{name}.png'.replace(' ', '_')
        self.driver.save_screenshot(str(file))
        return file

    def other_hosts(self):
        "Addresses elsewhere that were asked for; what the page's own policy has stopped was not."
        events = [json.loads(e['message'])['message'] for e in self.driver.get_log('performance')]
        stopped = {e['params']['requestId'] for e in events
                   if e['method'] == 'Network.loadingFailed' and e['params'].get('blockedReason') == 'csp'}
        asked = [(e['params']['requestId'], e['params']['request']['url']) for e in events
                 if e['method'] == 'Network.requestWillBeSent']
        asked += [(e['params']['requestId'], e['params']['url']) for e in events
                  if e['method'] == 'Network.webSocketCreated']
        return sorted({url for i, url in asked if url.split(':')[0] in ('http', 'https', 'ws', 'wss')
                       and urlsplit(url).hostname != HERE and i not in stopped})
