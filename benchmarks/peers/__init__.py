"""One file for each contestant: `epoch(workload)` makes a function that trains one epoch.

Each starts from the workload's first weights and gives back the mean loss over the epoch. Setting
up (copying data, compiling, warming up) is done before the clock starts.
"""
