"""`graphflow completion SHELL`: what a shell has to know to complete the words of a command line.

Each script hands the line over as it stands (`graphflow __complete SHELL BREAKS LINE`) and takes what is printed as data: a
candidate a line, with what it is behind a tab. Nothing of it is evaluated.
"""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from graphflow.cli.printing import out

ShellName = Literal["bash", "zsh", "fish"]

BASH = r"""# graphflow's completion for bash
_graphflow() {
    local line
    COMPREPLY=()
    while IFS= read -r line; do
        COMPREPLY+=("${line%%$'\t'*}")
    done < <("$1" __complete bash "$COMP_WORDBREAKS" "${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
}
complete -o default -F _graphflow graphflow
"""

ZSH = r"""#compdef graphflow
# graphflow's completion for zsh
_graphflow() {
    local -a found
    local line
    for line in ${(f)"$("${words[1]}" __complete zsh "" "${(j: :)words[1,CURRENT-1]} $PREFIX" 2>/dev/null)"}; do
        found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
    done
    if (( ${#found} )); then
        _describe -V graphflow found
    else
        _files
    fi
}
if [[ "$funcstack[1]" == "_graphflow" ]]; then
    _graphflow "$@"
else
    compdef _graphflow graphflow
fi
"""

FISH = r"""# graphflow's completion for fish
function __graphflow_complete
    set -l command (commandline -opc)[1]
    set -l found ($command __complete fish "" (commandline -cp | string collect) 2>/dev/null)
    if test (count $found) -gt 0
        printf '%s\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c graphflow -k -f -a '(__graphflow_complete)'
"""

SCRIPTS: dict[ShellName, str] = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def completion(
    shell: Annotated[ShellName, typer.Argument(metavar="SHELL", help="bash, zsh or fish.")],
) -> None:
    """Print a script that completes commands, options, graphs, runs and conversations in your shell."""
    out(SCRIPTS[shell].rstrip("\n"))
