"""The process that outlives the command: starts services, restarts what dies, keeps their logs small.

Why not the package `supervisor`: it reads the output of its children through pipes, so that its own `kill -9` takes
their stdout away and nothing can adopt them; it restarts a service that dies again and again every second for ever,
without growing pauses; and it takes 120 ms until it can start anything, where this one takes 40. Here services write
to their log files themselves, in sessions of their own, so that the next supervisor adopts them as they run.

It decides nothing about order, health or ports: `thedata up` does, and asks it over a socket, one JSON object a line.
Imports stay few, because every start of a stack waits for them.
"""
