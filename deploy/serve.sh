# To be sourced. serve BINARY [OPTION...]: starts `BINARY serve` on a free port in the background, sets `url` when it
# listens, and stops it when the script ends.

serve() {
    local binary=$1 line
    shift
    server_log=$(mktemp)
    OLLAMA_HOST=127.0.0.1:0 "$binary" serve "$@" 2>"$server_log" &
    server=$!
    trap stop_server EXIT
    for _ in $(seq 600); do
        line=$(grep -oE 'listens on http://[0-9.:]+' "$server_log" | head -1 || true)
        [ -z "$line" ] || break
        kill -0 "$server" 2>/dev/null || break
        sleep 0.05
    done
    cat "$server_log" >&2
    url=${line#listens on }
    [ -n "$url" ] || { echo "the server did not start" >&2; exit 1; }
}

stop_server() {
    kill -TERM "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    rm -f "$server_log"
}
