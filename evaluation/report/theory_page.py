"""The page of a study of kind theory; its look, tables and figures are those of every report."""

from __future__ import annotations

from .page_template import MACROS

THEORY_PAGE = (
    MACROS
    + """
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
<p class="lead">{{ description }}</p>
<ul class="facts">
{%- for fact in facts %}<li><b>{{ fact[0] }}</b><span>{{ fact[1] }}</span></li>{% endfor %}
</ul>
</header>
<nav><div>
<a href="#findings">Findings</a>
{% for section in sections %}<a href="#{{ section.name }}">{{ section.title }}</a>
{% endfor %}
<a href="#provenance">Provenance</a><a href="#reproduce">Reproduce</a>
</div></nav>
<main>

<section id="findings">
<h2>Findings</h2>
<ul class="statements">{% for line in findings %}<li>{{ line }}</li>{% endfor %}</ul>
</section>

{% for section in sections %}
<section id="{{ section.name }}">
<h2>{{ section.title }}</h2>
{% for line in section.lines %}<p>{{ line }}</p>{% endfor %}
{% for figure in section.figures %}{{ show_figure(figure) }}{% endfor %}
{% for table in section.tables %}<h3>{{ table.title }}</h3>
{{ show_table(table) }}{% endfor %}
</section>
{% endfor %}

<section id="provenance">
<h2>Provenance</h2>
<dl>{% for name, value in provenance %}<dt>{{ name }}</dt><dd>{{ value }}</dd>{% endfor %}</dl>
</section>

<section id="reproduce">
<h2>Reproduce</h2>
<p>In a clone of the repository:</p>
<pre>{{ commands | join("\\n") }}</pre>
</section>

</main>
<footer>Made by entrobench from the files of {{ folder }}; the page needs nothing outside itself.</footer>
<script>{{ script }}</script>
</body>
</html>
"""
)
