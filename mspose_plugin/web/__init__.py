"""The web page of ``mspose web``.

``uploads`` decodes what visitors send, ``view`` is what a visitor looks at and draws it, ``markup``
are the parts of the page that are more than one picture, and ``layout``, which alone needs Gradio,
puts them together.
"""
