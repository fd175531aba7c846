import { COMPLETE } from './answer.js'

/** Shells that completion is written for. */
export const SHELLS = ['bash', 'zsh', 'fish'] as const
/** One of {@link SHELLS}. */
export type Shell = (typeof SHELLS)[number]

/** What a shell reads to complete `manyhands`. All of them ask the program itself, so that they need not be renewed with it. */
export function completionScript(shell: Shell): string {
  return SCRIPTS[shell]
}

const SCRIPTS: Readonly<Record<Shell, string>> = {
  // COMP_TYPE: 63, 33 and 64 list candidates, 9 puts one in.
  bash: `# bash completion for manyhands; bash 4 or newer
_manyhands() {
  local listing=insert IFS=$'\\n' lines
  case "$COMP_TYPE" in 63 | 33 | 64) listing=list ;; esac
  mapfile -t lines < <("\${COMP_WORDS[0]}" ${COMPLETE} bash "\${COMP_LINE:0:COMP_POINT}" "$listing" 2>/dev/null)
  COMPREPLY=("\${lines[@]:1}")
  local typed="\${COMP_WORDS[COMP_CWORD]}" path
  [ "$typed" = '=' ] && typed=
  case "\${lines[0]}" in
    :files) mapfile -t -O "\${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$typed") ; compopt -o filenames 2>/dev/null ;;
    :folders) mapfile -t -O "\${#COMPREPLY[@]}" COMPREPLY < <(compgen -d -- "$typed") ; compopt -o filenames 2>/dev/null ;;
  esac
}
complete -F _manyhands manyhands
`,
  zsh: `#compdef manyhands
# zsh completion for manyhands
_manyhands() {
  local -a lines values
  local line value
  lines=("\${(@f)$("\${words[1]}" ${COMPLETE} zsh "\${(@Q)words[1,CURRENT-1]}" "\${(Q)PREFIX}" 2>/dev/null)}")
  for line in "\${(@)lines[2,-1]}"; do
    value=\${line%%$'\\t'*}
    if [[ $line == *$'\\t'* ]]; then
      values+=("\${value//:/\\\\:}:\${line#*$'\\t'}")
    else
      values+=("\${value//:/\\\\:}")
    fi
  done
  (( $#values )) && _describe -V manyhands values
  case $lines[1] in
    :files) [[ $PREFIX == --*=* ]] && compset -P '*='; _files ;;
    :folders) [[ $PREFIX == --*=* ]] && compset -P '*='; _files -/ ;;
  esac
}
if [ "$funcstack[1]" = _manyhands ]; then
  _manyhands "$@"
else
  compdef _manyhands manyhands
fi
`,
  fish: `# fish completion for manyhands
function __manyhands_complete
  set -l words (commandline -opc)
  set -l typed (commandline -ct)
  set -l lines ($words[1] ${COMPLETE} fish $words "$typed" 2>/dev/null)
  set -l answer $lines[2..-1]
  for line in $answer
    printf '%s\\n' $line
  end
  switch "$lines[1]"
    case :files
      __fish_complete_path (string replace -r '^--[a-z-]+=' '' -- "$typed")
    case :folders
      __fish_complete_directories (string replace -r '^--[a-z-]+=' '' -- "$typed")
  end
end
complete -c manyhands -f -a '(__manyhands_complete)'
`,
}
