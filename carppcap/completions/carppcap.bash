# Made by `make docs` from the option tables.
_carppcap() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
    # bash takes --name=value apart into three words.
    if [[ $cur == = ]]; then
        cur=
    elif [[ $prev == = ]]; then
        prev=${COMP_WORDS[COMP_CWORD-2]}
    fi
    COMPREPLY=()
    case $prev in
    -i|--interface)
        COMPREPLY=($(compgen -W "$(command ls /sys/class/net)" -- "$cur"))
        return ;;
    -o|-u|-d|--passfile|--upscript|--downscript|--pidfile|--write|--svg|--peer|--output)
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return ;;
    --source-mac)
        COMPREPLY=($(compgen -W "virtual bsd real" -- "$cur"))
        return ;;
    --on-conflict)
        COMPREPLY=($(compgen -W "nothing script" -- "$cur"))
        return ;;
    --replay-guard)
        COMPREPLY=($(compgen -W "off detect enforce" -- "$cur"))
        return ;;
    -f|--facility|--syslog)
        COMPREPLY=($(compgen -W "kern user mail daemon auth security syslog lpr news uucp cron authpriv ftp local0 local1 local2 local3 local4 local5 local6 local7 none" -- "$cur"))
        return ;;
    -s|-v|-a|-p|-x|-b|-k|-r|-m|--srcip|--vhid|--addr|--pass|--xparam|--advbase|--advskew|--deadratio|--mcastip|--script-timeout|--peer|--lladdr|--announce-interval|--demotion|--vlan|--nodes|--kinds|--node|--flags|--duration|--loss|--delay|--jitter|--duplicate|--reorder|--corrupt|--crash|--kill|--stop|--start|--pull|--plug|--at|--seed|--repeat|--jobs|--group|--from)
        return ;;
    esac
    if [[ $cur == -* ]]; then
        local options
        case ${COMP_WORDS[1]} in
        replay) options="--json --write= --vlan= --interface= --srcip= --vhid= --addr= --passfile= --pass= --upscript= --downscript= --xparam= --advbase= --advskew= --deadratio= --preempt --neutral --shutdown --ignoreifstate --nomcast --mcastip= --daemonize --facility= --syslog= --debug --script-timeout= --pidfile= --no-farewell --peer= --source-mac= --lladdr= --vmac --announce-interval= --own-addresses --on-conflict= --demotion= --replay-guard= --no-realtime --help --version" ;;
        simulate) options="--nodes= --kinds= --node= --flags= --duration= --loss= --delay= --jitter= --duplicate= --reorder= --corrupt= --crash= --kill= --stop= --start= --pull= --plug= --at= --seed= --repeat= --jobs= --json --svg= --quiet --debug --help" ;;
        run) options="" ;;
        check) options="--peer= --strict --help" ;;
        init) options="--group= --output= --force --interface= --srcip= --vhid= --addr= --passfile= --pass= --upscript= --downscript= --xparam= --advbase= --advskew= --deadratio= --preempt --neutral --shutdown --ignoreifstate --nomcast --mcastip= --daemonize --facility= --syslog= --debug --script-timeout= --pidfile= --no-farewell --peer= --source-mac= --lladdr= --vmac --announce-interval= --own-addresses --on-conflict= --demotion= --replay-guard= --no-realtime --help --version" ;;
        convert) options="--from= --output= --force --help" ;;
        *) options="--interface= --srcip= --vhid= --addr= --passfile= --pass= --upscript= --downscript= --xparam= --advbase= --advskew= --deadratio= --preempt --neutral --shutdown --ignoreifstate --nomcast --mcastip= --daemonize --facility= --syslog= --debug --script-timeout= --pidfile= --no-farewell --peer= --source-mac= --lladdr= --vmac --announce-interval= --own-addresses --on-conflict= --demotion= --replay-guard= --no-realtime --help --version" ;;
        esac
        COMPREPLY=($(compgen -W "$options" -- "$cur"))
        [[ ${COMPREPLY-} == *= ]] && compopt -o nospace
    elif [[ $COMP_CWORD == 1 ]]; then
        COMPREPLY=($(compgen -W "replay simulate run check init convert" -- "$cur"))
    elif [[ ${COMP_WORDS[1]} == @(replay|simulate|run|check|init|convert) ]]; then
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    fi
}
complete -F _carppcap carppcap
