%% The limit that bench_cell.py compares with: a fresh process and 12 messages for each impression.
-module(bench_cell).
-export([main/1]).

main([Impressions, InFlight]) ->
    Agents = [spawn(fun agent/0) || _ <- lists:seq(1, 6)],
    N = list_to_integer(Impressions),
    Window = min(N, list_to_integer(InFlight)),
    Began = erlang:monotonic_time(microsecond),
    [impression(Agents) || _ <- lists:seq(1, Window)],
    make(Agents, N - Window, N),
    io:format("~b", [erlang:monotonic_time(microsecond) - Began]),
    halt(0).

make(_, _, 0) -> ok;
make(Agents, Left, Unanswered) ->
    receive done -> ok end,
    case Left of
        0 -> make(Agents, 0, Unanswered - 1);
        _ -> impression(Agents), make(Agents, Left - 1, Unanswered - 1)
    end.

impression(Agents) ->
    Maker = self(),
    spawn(fun() -> ask(Agents), Maker ! done end).

ask([]) -> ok;
ask([Agent | Rest]) ->
    Monitor = monitor(process, Agent),
    Agent ! {question, self(), Monitor},
    receive
        {answer, Monitor} -> demonitor(Monitor, [flush]), ask(Rest);
        {'DOWN', Monitor, process, _, Reason} -> exit(Reason)
    end.

agent() ->
    receive {question, From, Tag} -> From ! {answer, Tag}, agent() end.
