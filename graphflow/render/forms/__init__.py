"""The forms that a picture is written in: DOT, SVG, Mermaid, and text for a terminal."""
