"""The page of a study of kind theory; its frame, look, tables and figures are those of every report."""

from __future__ import annotations

from .page_template import page

THEORY_PAGE = page(
    contents="""<a href="#findings">Findings</a>
{% for section in sections %}<a href="#{{ section.name }}">{{ section.title }}</a>
{% endfor %}
""",
    sections="""<section id="findings">
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

""",
)
