"""The look of the report: one HTML page with everything inside. Jinja escapes every value that is put in."""

from __future__ import annotations

STYLE = """
:root { --ink: #1d2329; --soft: #5b6670; --line: #e3e7ea; --faint: #f6f8f9; --accent: #0072b2; }
* { box-sizing: border-box; }
body { margin: 0; color: var(--ink); background: #fff;
  font: 15px/1.55 system-ui, "Segoe UI", Helvetica, Arial, sans-serif; }
header, main, footer { max-width: 1180px; margin: 0 auto; padding: 0 28px; }
header { padding-top: 44px; }
h1 { font-size: 30px; line-height: 1.2; margin: 0 0 6px; letter-spacing: -0.01em; }
h2 { font-size: 20px; margin: 52px 0 10px; padding-top: 14px; border-top: 2px solid var(--ink); }
h3 { font-size: 15px; margin: 28px 0 8px; }
p, ul { max-width: 82ch; }
.lead { color: var(--soft); font-size: 16px; margin: 0 0 16px; }
.facts { display: flex; flex-wrap: wrap; gap: 8px 30px; padding: 0; margin: 18px 0 0; list-style: none; }
.facts b { display: block; font-size: 20px; font-weight: 600; line-height: 1.25; }
.facts span, .note { color: var(--soft); font-size: 13px; }
.note { max-width: 100ch; margin: 6px 0 0; }
nav { position: sticky; top: 0; background: rgba(255, 255, 255, 0.96); border-bottom: 1px solid var(--line);
  margin-top: 26px; z-index: 2; }
nav div { max-width: 1180px; margin: 0 auto; padding: 9px 28px; display: flex; flex-wrap: wrap; gap: 4px 22px; }
nav a { color: var(--soft); text-decoration: none; font-size: 14px; }
nav a:hover { color: var(--accent); }
section { scroll-margin-top: 40px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13.5px; font-variant-numeric: tabular-nums; margin: 4px 0; }
th { text-align: left; font-weight: 600; border-bottom: 1.5px solid var(--ink); padding: 6px 16px 6px 0;
  vertical-align: bottom; white-space: pre; }
.sortable th { cursor: pointer; user-select: none; }
.sortable th::after { content: " \\2195"; color: #b9c1c7; font-weight: 400; }
.sortable th[data-order="up"]::after { content: " \\2191"; color: var(--accent); }
.sortable th[data-order="down"]::after { content: " \\2193"; color: var(--accent); }
td { padding: 5px 16px 5px 0; border-bottom: 1px solid var(--line); vertical-align: top; white-space: nowrap; }
tr.block td { border-top: 2px solid #b4bcc3; }
tbody tr:hover td { background: var(--faint); }
td small { display: block; color: var(--soft); font-size: 11.5px; }
td.wrap { white-space: normal; min-width: 22ch; max-width: 60ch; }
.dot { display: inline-block; width: 9px; height: 9px; border-radius: 50%; margin-right: 7px; }
.pill { display: inline-block; padding: 0 9px; border-radius: 9px; font-size: 12px; line-height: 19px;
  background: var(--faint); border: 1px solid var(--line); color: var(--soft); }
.pill.better { background: #e2f3ec; border-color: #009e73; color: #00684c; font-weight: 600; }
.pill.worse { background: #fbe9df; border-color: #d55e00; color: #9a4300; font-weight: 600; }
.pill.few { background: #fff; border-style: dashed; border-color: #b9c1c7; }
.statements { padding: 0; list-style: none; max-width: none; }
.statements li { padding: 9px 0; border-bottom: 1px solid var(--line); }
figure { margin: 18px 0 30px; }
figure img { max-width: 100%; height: auto; display: block; }
figcaption { color: var(--soft); font-size: 13px; max-width: 90ch; margin-bottom: 8px; }
figcaption b { color: var(--ink); font-size: 15px; display: block; }
pre { background: var(--faint); border: 1px solid var(--line); border-radius: 6px; padding: 12px 16px; overflow-x: auto;
  font-size: 13px; }
code, .mono { font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; font-size: 12.5px; }
details { margin: 16px 0; }
summary { cursor: pointer; font-weight: 600; font-size: 15px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 22px; font-size: 14px; }
.side { display: grid; grid-template-columns: repeat(auto-fit, minmax(300px, 1fr)); gap: 0 40px; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
footer { color: var(--soft); font-size: 13px; padding: 50px 28px 40px; }
@media print {
  nav { display: none; }
  body { font-size: 11px; }
  h2 { break-after: avoid; }
  figure { break-inside: avoid; }
}
"""

SCRIPT = """
for (const head of document.querySelectorAll("table.sortable th")) {
  head.addEventListener("click", () => {
    const body = head.closest("table").tBodies[0];
    const column = head.cellIndex;
    const down = head.dataset.order === "up";
    const value = (row) => row.cells[column].dataset.value ?? "";
    const compare = (a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x === "" || y === "") return (x === "") - (y === "");
      const order = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
      return down ? -order : order;
    };
    for (const other of head.parentNode.cells) delete other.dataset.order;
    head.dataset.order = down ? "down" : "up";
    for (const row of [...body.rows].sort(compare)) { row.classList.remove("block"); body.append(row); }
  });
}
"""

MACROS = """\
{%- macro entry_text(entry, column) -%}
  {%- if column == "method" and entry.text in colours -%}
    <span class="dot" style="background: {{ colours[entry.text] }}"></span>
  {%- endif -%}
  {%- if column == "verdict" and entry.text in pills -%}
    <span class="pill {{ pills[entry.text] }}">{{ entry.text }}</span>
  {%- elif entry.bold -%}<b>{{ entry.text }}</b>
  {%- else -%}{{ entry.text }}{%- endif -%}
  {%- if entry.detail %}<small>{{ entry.detail }}</small>{% endif -%}
{%- endmacro -%}

{%- macro show_table(table) -%}
<div class="scroll"><table class="sortable">
<thead><tr>{% for column in table.columns %}<th>{{ column }}</th>{% endfor %}</tr></thead>
<tbody>
{%- for row in table.rows %}
<tr{% if starts_block(table, loop.index0) %} class="block"{% endif %}>
{%- for entry in row -%}
{%- set value = "" if entry.value is none else entry.value -%}
<td{% if entry.text|length > 40 %} class="wrap"{% endif %} data-value="{{ value }}">
{{- entry_text(entry, table.columns[loop.index0]) -}}</td>
{%- endfor -%}</tr>
{%- endfor %}
</tbody></table></div>
{% if table.note %}<p class="note">{{ table.note }}</p>{% endif %}
{%- endmacro -%}

{%- macro show_figure(figure) -%}
<figure>
<figcaption><b>{{ figure.title }}</b>{{ figure.text }}</figcaption>
<img src="{{ figure.source }}" alt="{{ figure.title }}">
</figure>
{%- endmacro -%}
"""


def page(contents: str, sections: str) -> str:
    """The template of a page: `contents` are its links and `sections` what they lead to, before how to reproduce it."""
    return f"{MACROS}{HEAD}{contents}{MIDDLE}{sections}{FOOT}"


HEAD = """
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ study }} · entrobench</title>
<style>{{ style }}</style>
</head>
<body>
<header>
<h1>{{ study }}</h1>
<p class="lead">{{ description or "A study of entropy control in reinforcement learning of language models." }}</p>
<ul class="facts">
{%- for fact in facts %}<li><b>{{ fact[0] }}</b><span>{{ fact[1] }}</span></li>{% endfor %}
</ul>
</header>
<nav><div>
"""

MIDDLE = """<a href="#provenance">Provenance</a><a href="#reproduce">Reproduce</a>
</div></nav>
<main>

"""

FOOT = """<section id="reproduce">
<h2>Reproduce</h2>
<p>In a clone of the repository:</p>
<pre>{{ commands | join("\n") }}</pre>
</section>

</main>
<footer>Made by entrobench from the files of {{ folder }}; the page needs nothing outside itself.</footer>
<script>{{ script }}</script>
</body>
</html>
"""

PAGE = page(
    contents="""\
<a href="#results">Results</a><a href="#figures">Figures</a>{% if sweep %}<a href="#sweep">Sweep</a>{% endif %}
<a href="#curves">Curves</a><a href="#run">What was run</a><a href="#overlap">Decontamination</a>
<a href="#methods">Methods</a>
""",
    sections="""<section id="results">
<h2>Results</h2>
<ul class="statements">
{%- for statement in statements %}
<li><span class="dot" style="background: {{ colours[statement.method] }}"></span>{{ statement.text }}
<span class="pill {{ pills[statement.verdict] }}">{{ statement.verdict }}</span></li>
{%- endfor %}
</ul>
{% for table in tables %}
<h3>{{ table.title }}</h3>
{{ show_table(table) }}
{% endfor %}
{% if reference %}
<h3>Against the reference run</h3>
<pre>{{ reference | join("\n") }}</pre>
{% endif %}
</section>

<section id="figures">
<h2>Figures</h2>
{% for figure in figures %}{{ show_figure(figure) }}{% endfor %}
</section>

{% if sweep %}
<section id="sweep">
<h2>Sweep</h2>
{% for line in sweep.lines %}<p>{{ line }}</p>{% endfor %}
{% for figure in sweep.figures %}{{ show_figure(figure) }}{% endfor %}
{{ show_table(sweep.table) }}
</section>
{% endif %}

<section id="curves">
<h2>Curves</h2>
{% for figure in curves %}{{ show_figure(figure) }}{% endfor %}
</section>

<section id="run">
<h2>What was run</h2>
<div class="side">
{% for group in settings %}
<div><h3>{{ group.title }}</h3>
<dl>{% for name, value in group.entries %}<dt>{{ name }}</dt><dd>{{ value }}</dd>{% endfor %}</dl></div>
{% endfor %}
</div>
</section>

<section id="overlap">
<h2>Training rows in the benchmarks</h2>
{% for line in overlap.lines %}<p>{{ line }}</p>{% endfor %}
{% if overlap.table %}{{ show_table(overlap.table) }}{% endif %}
</section>

<section id="methods">
<h2>Methods</h2>
{{ show_table(methods) }}
</section>

<section id="provenance">
<h2>Provenance</h2>
<dl>{% for name, value in provenance %}<dt>{{ name }}</dt><dd>{{ value }}</dd>{% endfor %}</dl>
<details><summary>Every run</summary>
{{ show_table(runs) }}
</details>
</section>

""",
)
