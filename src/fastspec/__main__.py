"""python -m fastspec"""

from .cli import main

main()
