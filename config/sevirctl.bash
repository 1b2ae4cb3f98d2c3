# bash completion for sevirctl. Commands and options are asked of the program itself, so that this file
# never knows less than it.

_sevirctl()
{
    local program=${COMP_WORDS[0]} word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    local command= i names

    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --socket) ((i++)) ;;
        -*) ;;
        *)
            command=${COMP_WORDS[i]}
            break
            ;;
        esac
    done

    case $before in
    --state)
        names='QUEUED CRAWLING CRAWLED WAITING EXTRACTING EXTRACTED PUBLISHING RETIRING BACKOFF DONE RETIRED
            SKIPPED SUPERSEDED QUARANTINED CANCELED'
        ;;
    --format) names='table csv json' ;;
    --engine) names='local athena' ;;
    --type) names='vis ir069 ir107 vil lght' ;;
    --events) names='storm random all' ;;
    --socket | --catalog | -o | --output)
        COMPREPLY=($(compgen -f -- "$word"))
        return
        ;;
    *)
        case $command:$word in
        :*) names=$("$program" --complete 2>/dev/null) ;;
        *:-*) names=$("$program" --complete "$command" 2>/dev/null) ;;
        help:*) names=$("$program" --complete 2>/dev/null | grep -v '^-') ;;
        *)
            COMPREPLY=($(compgen -f -- "$word"))
            return
            ;;
        esac
        ;;
    esac
    COMPREPLY=($(compgen -W "${names//=/}" -- "$word"))
}

complete -o filenames -F _sevirctl sevirctl
