'use strict'
// Tables are sorted by a click on a heading (or Enter, or the space bar): down, up, as they were. A link opens what it leads to.
const names = new Intl.Collator('en', {numeric: true})
const text = (row, i) => row.cells[i].textContent.trim()
const number = s => Number.parseFloat(s.replace(/,/g, ''))

function compare(a, b, i) {
  const [x, y] = [text(a, i), text(b, i)], [p, q] = [number(x), number(y)]
  return i && Number.isFinite(p) && Number.isFinite(q) ? p - q : names.compare(x, y)
}

function sort(head) {
  const table = head.closest('table'), body = table.tBodies[0], i = head.cellIndex
  const way = {descending: 'ascending', ascending: ''}[head.getAttribute('aria-sort')] ?? 'descending'
  table.rowsAsMade ??= [...body.rows]
  const rows = [...table.rowsAsMade], there = rows.filter(r => !['', '–'].includes(text(r, i)))
  there.sort((a, b) => way === 'ascending' ? compare(a, b, i) : compare(b, a, i))
  body.append(...(way ? [...there, ...rows.filter(r => !there.includes(r))] : rows))
  for (const other of table.tHead.rows[0].cells) other.removeAttribute('aria-sort')
  if (way) head.setAttribute('aria-sort', way)
}

for (const head of document.querySelectorAll('.output thead th')) {
  if (!head.textContent.trim() || !head.closest('table').tBodies[0]) continue
  const button = document.createElement('button')
  button.append(...head.childNodes)
  head.append(button)
  button.addEventListener('click', () => sort(head))
}

function reveal() {
  const to = document.getElementById(decodeURIComponent(location.hash.slice(1)))
  for (let e = to; e; e = e.parentElement) if (e.tagName === 'DETAILS') e.open = true
  if (to) to.scrollIntoView()
}
addEventListener('hashchange', reveal)
reveal()
