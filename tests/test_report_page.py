"The report as a browser shows it: sorted by the keyboard, on a phone, light and dark, with no script but its own."
from types import SimpleNamespace

import nbformat, pandas as pd, pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from affect_nb.report.report import write_report
from affect_nb.tables.inputs import EMBEDDED
from affect_nb.tables.rows import claims
from affect_nb.tables.sheet import sheet

pytestmark = pytest.mark.browser

# Elements whose own text has less contrast with what is behind it than WCAG 2.1 AA asks for text of a usual size.
PALE = """
const linear = x => (x /= 255) <= .04045 ? x/12.92 : ((x + .055)/1.055)**2.4
const light = c => { const [r, g, b] = c.map(linear); return .2126*r + .7152*g + .0722*b }
const colour = s => s.match(/[\\d.]+/g).map(Number)
const behind = e => {
  for (; e; e = e.parentElement) {
    const c = colour(getComputedStyle(e).backgroundColor)
    if (c[3] !== 0) return c.slice(0, 3)
  }
  return [255, 255, 255]
}
const hasText = e => e.tagName !== 'SCRIPT' && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())
return [...document.querySelectorAll('body *')].filter(hasText).map(e => {
  const [a, b] = [light(colour(getComputedStyle(e).color).slice(0, 3)), light(behind(e))]
  return [(Math.max(a, b) + .05)/(Math.min(a, b) + .05), e.tagName, e.textContent.trim().slice(0, 30)]
}).filter(x => x[0] < 4.5)"""


@pytest.fixture(scope='module')
def report(tmp_path_factory):
    "A report about one table of three rows: its claims are judged, and a text of it tries to be a script."
    out = tmp_path_factory.mktemp('out')
    (out/'tables').mkdir()
    rows = pd.DataFrame({'row': ['9', '10', '11'], 'ours [95%]': ['0.2000 [0.1, 0.3]', '–', '0.9000 [0.8, 1.0]'],
                         'note': ['<script>document.title = "x"</script>', '', '']})
    shown = sheet(pd.concat([rows, pd.DataFrame([['0'*40]*20]).add_prefix('c')], axis=1), EMBEDDED,
                  best=[(2, 'ours [95%]')])
    table = new_output('display_data', data={'text/html': shown._repr_html_()})
    nb = new_notebook(cells=[new_markdown_cell('# Table 3: S and W'), new_code_cell('table', outputs=[table]),
                             new_markdown_cell('## Differences\n\nPaired.')])
    nb.metadata['papermill'] = dict(output_path=str(out/'tables'/'table_3.ipynb'))
    nbformat.write(nb, out/'tables'/'table_3.ipynb')
    said = claims(3).rename(columns=dict(baseline_row='baseline', printed_difference='paper'))
    said.assign(ours=.01, lo=.001, hi=.02, seeds=3,
                verdict=['agrees', 'contradicted',
                         'undecided']*2).to_csv(out/'tables'/'table_3_claims.csv', index=False)
    return write_report([SimpleNamespace(name='table_3', title='Table 3', number=3, cells={}, book={}, embedded=True,
                                         data=EMBEDDED)], out).as_uri()


def test_the_keyboard_sorts_and_no_other_script_runs(report, chromium):
    from selenium.webdriver.common.keys import Keys
    chromium.get(report)
    assert chromium.title == 'affect_nb: the tables'
    first = lambda: [e.text for e in chromium.find_elements('css selector', '#table_3 tbody td:first-child')]
    head = chromium.find_element('xpath', "//section[@id='table_3']//th[starts-with(., 'ours')]")
    assert first() == ['9', '10', '11']
    for way, order in (('descending', ['11', '9', '10']), ('ascending', ['9', '11', '10']), (None, ['9', '10', '11'])):
        head.find_element('css selector', 'button').send_keys(Keys.ENTER)
        assert (head.get_attribute('aria-sort'), first()) == (way, order)
    chromium.execute_script("const s = document.createElement('script'); s.textContent = 'document.title = 1'; "
                            "document.body.append(s)")
    assert chromium.title == 'affect_nb: the tables'


def test_it_fits_a_phone_and_can_be_read_in_both_themes(report, chromium):
    chromium.get(report)
    send = chromium.execute_cdp_cmd
    try:
        send('Emulation.setDeviceMetricsOverride', dict(width=390, height=844, deviceScaleFactor=1, mobile=True))
        assert chromium.execute_script('return document.documentElement.scrollWidth') == 390
        assert chromium.execute_script("const t = document.querySelector('#table_3 .output'); return t.scrollWidth > "
                                       "t.clientWidth")
        backgrounds = set()
        for theme in ('light', 'dark'):
            send('Emulation.setEmulatedMedia', dict(features=[dict(name='prefers-color-scheme', value=theme)]))
            chromium.execute_script("for (const d of document.querySelectorAll('details')) d.open = true")
            assert chromium.execute_script(PALE) == []
            backgrounds.add(chromium.execute_script('return getComputedStyle(document.body).backgroundColor'))
        assert len(backgrounds) == 2
        chromium.execute_script("document.querySelector('h1').style.color = '#555'")
        assert [x[1] for x in chromium.execute_script(PALE)] == ['H1'] # on the dark page
    finally:
        send('Emulation.setEmulatedMedia', dict(features=[]))
        send('Emulation.clearDeviceMetricsOverride', {})
